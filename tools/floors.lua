-- Checks that the house stands: a file includes only from its own folder and those below it, and
-- files (a .c and its .h are one) include each other in no circle.
-- usage: lua tools/floors.lua

local floors = {"platform", "src/base", "src/sync", "src/object", "src/state", "src/transfer",
                "src/shared", "src/thread", "src/diagnose", "lib", "."}

local height = {}
for number, folder in ipairs(floors) do height[folder] = number end

local faults = 0

local function complain(...)
  io.stderr:write(string.format(...), "\n")
  faults = faults + 1
end

local function folder_of(file)
  return file:match("^(.*)/[^/]*$") or "."
end

local function list(pattern)
  local files = {}
  local pipe = assert(io.popen("ls " .. pattern .. " 2>/dev/null"))
  for file in pipe:lines() do files[#files + 1] = file end
  pipe:close()
  return files
end

local includes = {} -- unit -> unit -> true

local function add(file, included)
  local unit, other = file:gsub("%.[ch]$", ""), included:gsub("%.[ch]$", "")
  includes[unit] = includes[unit] or {}
  if unit ~= other then includes[unit][other] = true end
end

local files = list("platform/*.[ch] src/*/*.[ch] lib/*.[ch] lthread.[ch]")
local is_here = {}
for _, file in ipairs(files) do is_here[file] = true end

local function check_file(file)
  local here = height[folder_of(file)]
  if not here then return complain("%s: the folder has no floor in tools/floors.lua", file) end
  for line in io.lines(file) do
    local included = line:match('^%s*#%s*include%s*"(.-)"')
    if included and included ~= "lthread.h" then -- the C face knows nothing of what is behind it
      add(file, included)
      local there = height[folder_of(included)]
      if not is_here[included] then
        complain("%s includes %s, which is no path from the root to a file here", file, included)
      elseif there > here then
        complain("%s includes %s, which stands above it", file, included)
      end
    end
  end
end

-- Raising an exception makes a proxy, and making a proxy may raise: those two are one.
local mutual = {["src/object/object"] = "src/object/exception",
                ["src/object/exception"] = "src/object/object"}

local state = {} -- of a unit: where in the trail it is while the walk is below it, then "done"
local trail = {}

local function walk(unit)
  trail[#trail + 1] = unit
  state[unit] = #trail
  for other in pairs(includes[unit] or {}) do
    local place = state[other]
    if math.type(place) and mutual[unit] ~= other then
      complain("a circle of files: %s -> %s", table.concat(trail, " -> ", place), other)
    elseif not state[other] then
      walk(other)
    end
  end
  trail[#trail] = nil
  state[unit] = "done"
end

for _, file in ipairs(files) do check_file(file) end
for _, file in ipairs(files) do
  local unit = file:gsub("%.[ch]$", "")
  if not state[unit] then walk(unit) end
end
if #files == 0 then complain("no C files here: run it from the root of the tree") end
os.exit(faults == 0)
