-- Checks histories of a queue's operations for linearizability: whether there is an order, in which
-- each operation takes effect at one moment between its begin and its end, that a queue of first
-- come, first served allows.
--
-- A history is a list of operations {op = "put" or "get", value =, from =, to =}, where no value is
-- put twice; a get without a value has found the queue empty. check(history) returns nil, or what
-- is wrong: a history with unique values is linearizable if and only if there is none of these.

local function index(history)
  local puts, gets, empties = {}, {}, {}
  for _, entry in ipairs(history) do
    if entry.op == "put" then
      puts[entry.value] = entry
    elseif entry.value == nil then
      empties[#empties + 1] = entry
    elseif gets[entry.value] then
      return nil, nil, nil, ("%s was got twice"):format(entry.value)
    else
      gets[entry.value] = entry
    end
  end
  return puts, gets, empties
end

local function find_unfounded(puts, gets)
  for value, get in pairs(gets) do
    local put = puts[value]
    if not put then
      return ("%s was got, but never put"):format(value)
    elseif get.to < put.from then
      return ("%s was got before it was put"):format(value)
    end
  end
end

local function sorted(puts, field)
  local list = {}
  for _, put in pairs(puts) do
    list[#list + 1] = put
  end
  table.sort(list, function(a, b) return a[field] < b[field] end)
  return list
end

-- Of two values, one put before the other, the later one was got before the earlier one.
local function find_overtaking(puts, gets)
  local by_end = sorted(puts, "to")
  local ended, latest, latest_value = 0, -math.huge, nil
  for _, put in ipairs(sorted(puts, "from")) do
    while ended < #by_end and by_end[ended + 1].to < put.from do
      ended = ended + 1
      local value = by_end[ended].value
      local got = gets[value] and gets[value].from or math.huge
      if got > latest then
        latest, latest_value = got, value
      end
    end
    local get = gets[put.value]
    if get and get.to < latest then
      return ("%s overtook %s"):format(put.value, latest_value)
    end
  end
end

-- The queue was found empty while, at each moment, some value was certainly in it.
local function find_false_empty(puts, gets, empties)
  local there = {}
  for value, put in pairs(puts) do
    local to = gets[value] and gets[value].from or math.huge
    if put.to < to then
      there[#there + 1] = { from = put.to, to = to }
    end
  end
  table.sort(there, function(a, b) return a.from < b.from end)
  for _, empty in ipairs(empties) do
    local covered = empty.from
    for _, span in ipairs(there) do
      if span.from >= covered then
        break
      end
      covered = math.max(covered, span.to)
    end
    if covered > empty.to then
      return "the queue was found empty while something was in it"
    end
  end
end

return function(history)
  local puts, gets, empties, repeated = index(history)
  return repeated or find_unfounded(puts, gets) or find_overtaking(puts, gets)
    or find_false_empty(puts, gets, empties)
end
