-- Checks that names say where they are: a static and a type are in one file, so that gdb finds one,
-- and an enumerator is in one enum. Those within a function name its places on the stack, and are
-- free.
-- usage: lua tools/names.lua

local faults = 0

local function complain(...)
  io.stderr:write(string.format(...), "\n")
  faults = faults + 1
end

local function read(file)
  local input <close> = assert(io.open(file))
  local text = input:read "a"
  return (text:gsub("/%*.-%*/", function(comment) return comment:gsub("[^\n]", "") end))
end

-- The name that a line defines which begins, but for macros in capitals, with "static".
local function name_of_static(line)
  if not line:find "^[%u_]* ?static " then return nil end
  local declarator = line:gsub("_A%w+%b()", ""):gsub("LT_CLASS%(([%w_]+).*", "%1"):match "^[^={;]*"
  return declarator:match "%(%*([%w_]+)" or declarator:match "([%w_]+)%(" or
    declarator:match "([%w_]+)%[" or declarator:match "([%w_]+)%s*$"
end

local owners = {} -- name -> the first file that has it

local function claim(file, what, name)
  if owners[name] and owners[name] ~= file then
    complain("%s: %s %s is in %s too", file, what, name, owners[name])
  else
    owners[name] = file
  end
end

local function check_statics(file, text)
  for line in text:gmatch "[^\n]+" do
    local name = name_of_static(line)
    if name then claim(file, "static", name) end
  end
end

-- Those with a body; the same type may be declared elsewhere.
local function check_types(file, text)
  for _, kind in ipairs {"struct", "enum", "union"} do
    for name in ("\n" .. text):gmatch("\n[typedf]* ?" .. kind .. " ([%w_]+) {") do
      claim(file, kind, name)
    end
  end
end

local enumerators = {} -- name -> the first enum that has it

local function line_of(text, position)
  return select(2, text:sub(1, position):gsub("\n", "\n")) + 1
end

local function check_enumerators(file, text)
  for position, list in ("\n" .. text):gmatch "()\n[typedf]* ?enum%s*[%w_]*%s*(%b{})" do
    local place = ("%s:%d"):format(file, line_of(text, position))
    for name in list:sub(2, -2):gsub("%b()", ""):gmatch "([%a_][%w_]*)[^,]*" do
      if enumerators[name] then
        complain("%s: enumerator %s is in %s too", place, name, enumerators[name])
      end
      enumerators[name] = enumerators[name] or place
    end
  end
end

local FILES <const> = "platform/*.[ch] src/*/*.[ch] lib/*.[ch] lthread.[ch]"
local listing <close> = assert(io.popen("ls " .. FILES .. " 2>/dev/null"))
for file in listing:lines() do
  local text = read(file)
  check_statics(file, text)
  check_types(file, text)
  check_enumerators(file, text)
end
if not next(owners) then complain "no C files here: run it from the root of the tree" end
os.exit(faults == 0)
