-- Compares the files that the rockspec of the tree lists with those that are there, and that
-- of the release that lthread.h names with it; or writes both anew.
-- usage: lua tools/rockspec.lua [--write] file
local is_writing = arg[1] == "--write"
local path = arg[is_writing and 2 or 1]

local failed = false

local function complain(...)
  io.stderr:write(path, ": ", string.format(...), "\n")
  failed = true
end

local function list(pattern)
  local files = {}
  local listing <close> = assert(io.popen("ls " .. pattern .. " 2>/dev/null"))
  for file in listing:lines() do files[#files + 1] = file end
  table.sort(files)
  return files
end

-- The text with the lines between two others made of a list.
local function with_lines(text, first, last, items, make)
  local _, before = text:find(first, 1, true)
  local after = before and text:find(last, before, true)
  if not after then error(("%s: no list between '%s' and '%s'"):format(path, first, last), 0) end
  local lines = {}
  for i, item in ipairs(items) do lines[i] = make(item) end
  return text:sub(1, before) .. table.concat(lines) .. text:sub(after)
end

local function source_line(file)
  return ('               "%s",\n'):format(file)
end

local function module_line(file)
  local name = file:match("^lua/(.*)%.lua$"):gsub("/", ".")
  local key = name:find("^[%a_][%w_]*$") and name or ('["%s"]'):format(name)
  return ('      %s = "%s",\n'):format(key, file)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[line] = true end
  return lines
end

local function compare(text, wanted)
  local old, new = lines_of(text), lines_of(wanted)
  for line in pairs(new) do
    if not old[line] then complain("lacks %s", line:match "%S.*") end
  end
  for line in pairs(old) do
    if not new[line] then complain("%s is not there", line:match "%S.*") end
  end
  if text ~= wanted and not failed then complain "the lists are not sorted" end
  if failed then complain "make rockspec lists the files anew" end
end

-- Each file of platform/ belongs to some platform; which, is said by hand.
local function check_platforms(text)
  for _, file in ipairs(list "platform/*.c") do
    if not text:find(('"%s"'):format(file), 1, true) then complain("no platform has %s", file) end
  end
end

local function read(file)
  local input <close> = assert(io.open(file))
  return input:read "a"
end

local function write(file, text)
  local output <close> = assert(io.open(file, "w"))
  assert(output:write(text))
end

-- The text with one piece, which it has once, replaced.
local function replaced(text, old, new)
  local first, last = text:find(old, 1, true)
  if not first then error(("%s: no %s"):format(path, old), 0) end
  return text:sub(1, first - 1) .. new .. text:sub(last + 1)
end

local text = read(path)
local wanted = with_lines(text, "sources = {\n", "               ...\n",
  list "lthread.c src/*/*.c lib/*.c", source_line)
wanted = with_lines(wanted, "build = {\n   type = \"builtin\",\n   modules = {\n", "   },\n",
  list "lua/*.lua", module_line)

-- A release is the tree under its tag.
local version = read "lthread.h":match '#define LTHREAD_VERSION "([%d.]+)"'
local release_path = replaced(path, "scm", version)
local release = replaced(wanted, 'version = "scm-1"', ('version = "%s-1"'):format(version))
release = replaced(release, '.git",\n}', ('.git",\n   tag = "v%s",\n}'):format(version))

if is_writing then
  write(path, wanted)
  write(release_path, release)
else
  compare(text, wanted)
  if read(release_path) ~= release then
    complain("%s is another: make rockspec writes it anew", release_path)
  end
end
check_platforms(wanted)
os.exit(not failed)
