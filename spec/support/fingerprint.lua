-- Describes the whole Lua state: every table that can be reached from the globals, the registry and
-- the metatables of the types, one line for each of its fields.
--
-- C functions without upvalues, and keys that are light userdata, are told by their addresses,
-- which are the same in all threads; all else that has an identity by its type and the first path
-- that leads to it.

local function describe(value)
  local type_of = math.type(value) or type(value)
  if type_of == "string" then
    return ("%q"):format(value)
  elseif type_of == "function" and debug.getinfo(value, "S").what == "C" then
    local upvalues = debug.getinfo(value, "u").nups
    return upvalues == 0 and ("C function %p"):format(value) or "C closure of " .. upvalues
  elseif type_of == "integer" or type_of == "float" or type_of == "boolean" then
    return type_of .. " " .. tostring(value)
  end
  return type_of
end

-- A userdata without a metatable is no object, and as a key it is a light one.
local function describe_key(key)
  if type(key) == "userdata" and not debug.getmetatable(key) then
    return ("address %p"):format(key)
  end
  return describe(key)
end

local function sorted_fields(t)
  local fields = {}
  for key, value in next, t do
    fields[#fields + 1] = { describe_key(key), value }
  end
  table.sort(fields, function(a, b) return a[1] < b[1] end)
  return fields
end

-- Returns the lines in order, one string.
return function()
  local lines, paths, queue = {}, {}, {}
  local function visit(value, path)
    local kind = type(value)
    if kind == "table" or kind == "userdata" or kind == "function" or kind == "thread" then
      if paths[value] then
        return " = " .. paths[value]
      end
      paths[value] = path
      queue[#queue + 1] = value
    end
    return ""
  end
  local function add(path, value)
    lines[#lines + 1] = path .. ": " .. describe(value) .. visit(value, path)
  end
  visit(lines, "(lines)")
  visit(paths, "(paths)")
  visit(queue, "(queue)")
  queue = {}
  add("_G", _G)
  add("registry", debug.getregistry())
  for name, value in next, { boolean = true, number = 1, string = "", ["function"] = print,
    thread = coroutine.running(), light = debug.upvalueid(describe, 1) } do
    add("type " .. name, debug.getmetatable(value))
  end
  add("type nil", debug.getmetatable(nil))
  add("hook", debug.gethook())
  local at = 1
  while queue[at] do
    local value = queue[at]
    local path = paths[value]
    if type(value) == "table" then
      for _, field in ipairs(sorted_fields(value)) do
        add(path .. "[" .. field[1] .. "]", field[2])
      end
    end
    if type(value) == "function" then
      for i = 1, debug.getinfo(value, "u").nups do
        add(path .. "'s upvalue " .. i, (select(2, debug.getupvalue(value, i))))
      end
    end
    local meta = debug.getmetatable(value)
    if meta and type(value) ~= "function" and type(value) ~= "thread" then
      add(path .. "'s metatable", meta)
    end
    at = at + 1
  end
  table.sort(lines)
  return table.concat(lines, "\n") .. "\n"
end
