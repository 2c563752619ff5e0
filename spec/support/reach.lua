-- What code can get at: reach() returns the paths of all functions and userdata, sorted, each once.
-- It needs only what it finds, so that threads of any state can call it.
local type, next, pcall, tostring = type, next, pcall, tostring
local LIBRARIES = {
  "_G", "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8",
}
local DEEPEST = 7

-- The metatable too, with and without the library debug.
local function parts_of(value, visit)
  local debug = type(debug) == "table" and debug or {}
  if type(value) == "table" then
    for key, member in next, value do
      if type(key) == "string" then visit("." .. key, member) end
    end
  elseif type(value) == "function" and debug.getupvalue then
    local name, upvalue = debug.getupvalue(value, 1)
    if name == "" then visit("^", upvalue) end -- of a function in C
  end
  local getmetatable = debug.getmetatable or getmetatable
  if getmetatable then visit("'", getmetatable(value)) end
end

local function reach()
  local found, on_path = {}, {}
  local function visit(path, value, depth)
    local kind = type(value)
    if kind == "function" or kind == "userdata" then found[path] = tostring(value) end
    if kind == "nil" or on_path[value] or depth > DEEPEST then return end
    on_path[value] = true
    parts_of(value, function(step, part)
      if not (step == ".lthread" or step == "._thread" or step == ".lthread.queue") then
        visit(path .. step, part, depth + 1)
      end
    end)
    on_path[value] = nil
  end
  visit("_G", _G, 0)
  visit("string", "", 0)
  for _, name in next, LIBRARIES do
    local ok, library = pcall(require or type, name)
    if ok and require then visit("required " .. name, library, 0) end
  end
  if type(debug) == "table" and debug.getregistry then
    visit("registry", debug.getregistry(), 0)
  end
  return found
end

-- What is in 'found' but not in 'other', as text.
local function only_in(found, other)
  local text = ""
  for path in next, found do
    if not other[path] then text = text .. path .. "\n" end
  end
  return text
end

return { reach = reach, only_in = only_in }
