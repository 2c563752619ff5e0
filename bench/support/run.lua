-- Runs the benchmark: lua run.lua chart part..., prints its table, and draws the chart if there is
-- a name for it. A part is a module that returns a list of lines:
--
--   {
--     what = "start + join", unit = "us",     -- of units below
--     at_most = 0.5,                          -- the target for ours / floor; or at_least; or none
--     absolute = false,                       -- whether the target is for ours itself
--     base = "C thread with state",           -- what the floor is
--     floor = function() return seconds end,
--     ours = function(_thread) return seconds end,
--     peers = {                               -- by the module that they are given
--       luv = function(luv) return seconds end,
--       python3 = "start 100 0",              -- arguments for peers/python.py
--     },                                      -- (so may be the floor)
--     rounds = 7,
--   }
--
-- All of them return one number: seconds, bytes, or times a second. Each is called in a fresh
-- process. In every round floor, ours and peers take turns; the ratio is taken within the round.
-- A floor that is a peer may be missing, or there may be none: then there are no ratios.
-- With --measure part line column, the file measures just that and prints the number.

local here = arg[0]:match "^(.*)/[^/]*$" or "."

local units = { ns = 1e9, us = 1e6, ms = 1e3, KB = 1 / 1024, ["M/s"] = 1e-6, ["/s"] = 1 }
local peers = { "python3", "luv", "cqueues", "cjson" }
local rounds = 7

--
-- One measurement
--

-- The number, or nil if the module to be measured is not there.
local function measure(part, index, column)
  local line = require(part)[tonumber(index)]
  if column == "floor" then return line.floor() end
  if column == "ours" then return line.ours(require "lthread") end
  local found, module = pcall(require, column)
  return found and line.peers[column](module) or nil
end

if arg[1] == "--measure" then
  print(("%.17g"):format(measure(table.unpack(arg, 2)) or 0))
  os.exit(true, true)
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function find_interpreter()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

local interpreter = find_interpreter()

-- The output of a command, and whether it has succeeded.
local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  local output = pipe:read "a"
  return output, (pipe:close())
end

local has_python = os.execute "python3 -c 'import _thread' 2>/dev/null"

-- The arguments for peers/python.py, where that is what measures this column.
local function python_work(line, column)
  local work = line[column] or line.peers[column]
  return type(work) == "string" and work or nil
end

local function command_for(part, index, column, work)
  if work then
    return ("python3 %s %s"):format(quote(here .. "/../peers/python.py"), work)
  end
  local words = { interpreter, arg[0], "--measure", part, tostring(index), column }
  for i, word in ipairs(words) do words[i] = quote(word) end
  return table.concat(words, " ")
end

-- The number, or nil if the peer is missing. What can't be measured is a failure.
local function measure_apart(part, index, line, column)
  local work = python_work(line, column)
  if work and not has_python then return nil end
  local output, ended = output_of(command_for(part, index, column, work))
  local number = tonumber(output)
  if not ended or number == nil then
    error(("%s, line %d: no figure for %s"):format(part, index, column), 0)
  end
  return number ~= 0 and number or nil
end

--
-- Rounds
--

-- The middle one, the least and the greatest; nil of none.
local function spread(numbers)
  if #numbers == 0 then return nil end
  table.sort(numbers)
  local count = #numbers
  return {
    middle = (numbers[(count + 1) // 2] + numbers[count // 2 + 1]) / 2,
    least = numbers[1], most = numbers[count],
  }
end

local function columns_of(line)
  local columns = { "ours" }
  if line.floor then table.insert(columns, 1, "floor") end
  for _, name in ipairs(peers) do
    if line.peers and line.peers[name] then columns[#columns + 1] = name end
  end
  return columns
end

-- Of one line: the spread of each column's values, and of their ratios to the floor. The cost is in
-- relation to the target: 1 meets it just so.
local function run_line(part, index, line)
  local columns, values, ratios = columns_of(line), {}, {}
  for _, column in ipairs(columns) do
    values[column], ratios[column] = {}, {}
  end
  for round = 1, line.rounds or rounds do
    local now = {}
    for i = 1, #columns do
      local column = columns[round % 2 == 1 and i or #columns + 1 - i]
      now[column] = measure_apart(part, index, line, column)
    end
    for column, value in pairs(now) do
      table.insert(values[column], value)
      if now.floor then table.insert(ratios[column], value / now.floor) end
    end
  end
  local result = { line = line, values = {}, ratios = {} }
  for _, column in ipairs(columns) do
    result.values[column], result.ratios[column] = spread(values[column]), spread(ratios[column])
  end
  local judged = line.absolute and result.values.ours or result.ratios.ours
  if judged and line.at_most then result.cost = judged.middle / line.at_most end
  if judged and line.at_least then result.cost = line.at_least / judged.middle end
  return result
end

--
-- The table
--

-- Three digits.
local function short(number)
  if number >= 99.95 then return ("%.0f"):format(number) end
  return (number >= 9.995 and "%.1f" or "%.2f"):format(number)
end

local function with_unit(value, line)
  return short(value * units[line.unit]) .. " " .. line.unit
end

local function target_of(line)
  local target = line.at_most or line.at_least
  if not target then return "" end
  local value = line.absolute and ("%g %s"):format(target * units[line.unit], line.unit)
  return (line.at_most and "≤ " or "≥ ") .. (value or ("%g"):format(target))
end

local function cells_of(result)
  local line, scale = result.line, units[result.line.unit]
  local floor, ours, ratio = result.values.floor, result.values.ours, result.ratios.ours
  local cells = {
    line.what,
    floor and ("%s (%s)"):format(with_unit(floor.middle, line), line.base) or "-",
    ("%s (%s–%s)"):format(with_unit(ours.middle, line), short(ours.least * scale),
      short(ours.most * scale)),
    ratio and ("%.2f (%.2f–%.2f)"):format(ratio.middle, ratio.least, ratio.most) or "-",
    target_of(line),
    not result.cost and "" or result.cost <= 1 and "yes" or "no",
  }
  for _, name in ipairs(peers) do
    local value, to_floor = result.values[name], result.ratios[name]
    cells[#cells + 1] = not value and "-" or not to_floor and with_unit(value.middle, line)
      or ("%s (%.2f)"):format(with_unit(value.middle, line), to_floor.middle)
  end
  return cells
end

local function row(cells)
  return "| " .. table.concat(cells, " | ") .. " |"
end

local function header()
  local names = { python3 = "CPython `_thread`", cjson = "lua-cjson" }
  local cells = { "what", "floor", "ours", "ratio", "target", "met" }
  for _, name in ipairs(peers) do cells[#cells + 1] = names[name] or name end
  return row(cells) .. "\n" .. ("|---"):rep(#cells) .. "|"
end

-- How many threads have wanted a processor in the last minute, where the system tells.
local function load_before()
  local file <close> = io.open "/proc/loadavg"
  return file and (", load before the run %.1f"):format(file:read "n") or ""
end

-- In general terms: what runs here, on how many processors.
local function machine()
  local _thread = require "lthread"
  local system = output_of "uname -sr":match "^%S+ %d+%.%d+"
  local python = has_python and ", " .. output_of "python3 --version":gsub("%s+$", "") or ""
  return ("%s, %d processors, %s, %s%s%s"):format(os.date "%Y-%m-%d", _thread.cpu_count(), system,
    output_of(quote(interpreter) .. " -v"):match "^Lua [%d.]+", python, load_before())
end

local chart, results = arg[1], {}
print(machine() .. "\n\n" .. header())
for i = 2, #arg do
  for index, line in ipairs(require(arg[i])) do
    local result = run_line(arg[i], index, line)
    local cells = cells_of(result)
    print(row(cells))
    io.stdout:flush()
    result.label = ("%s (target %s)"):format(
      line.absolute and cells[3]:match "^[^(]*[^( ]" or cells[4]:match "^%S+", cells[5])
    results[#results + 1] = result
  end
end
if chart ~= "" then
  require "support.chart" (chart, results)
end
