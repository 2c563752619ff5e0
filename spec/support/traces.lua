-- Reads a trace back, and checks it by the description of the trace event format.
local json = dofile "tools/json.lua"

local traces = {}

local needed <const> = { -- fields of events, by their phase
  M = { name = "string", args = "table" },
  X = { name = "string", cat = "string", ts = "number", dur = "number" },
  B = { name = "string", cat = "string", ts = "number" },
  E = { ts = "number" },
  i = { name = "string", cat = "string", ts = "number", s = "string" },
  s = { name = "string", cat = "string", ts = "number", id = "number" },
  f = { name = "string", cat = "string", ts = "number", id = "number", bp = "string" },
  b = { name = "string", cat = "string", ts = "number", id = "number" },
  e = { name = "string", cat = "string", ts = "number", id = "number" },
}

local function check_fields(event)
  local fields = needed[event.ph]
  assert(fields, "an unknown phase: " .. tostring(event.ph))
  assert(math.type(event.pid) == "integer" and math.type(event.tid) == "integer", "pid and tid")
  for name, kind in pairs(fields) do
    assert(type(event[name]) == kind, event.ph .. " without " .. name)
  end
  assert(event.ts == nil or event.ts >= 0, "before the beginning")
  assert(event.dur == nil or event.dur >= 0, "an event that ends before it begins")
  assert(event.s == nil or event.s == "t" or event.s == "g", "an unknown scope")
end

-- Slices of each row, with begin and ending, in the order of their beginnings, the outer first.
local function slices_of(events)
  local rows, open = {}, {}
  for _, event in ipairs(events) do
    local row = event.tid
    rows[row], open[row] = rows[row] or {}, open[row] or {}
    if event.ph == "X" then
      event.begin, event.ending = event.ts, event.ts + event.dur
      table.insert(rows[row], event)
    elseif event.ph == "B" then
      event.begin = event.ts
      table.insert(rows[row], event)
      table.insert(open[row], event)
    elseif event.ph == "E" then
      local slice = assert(table.remove(open[row]), "an end without a beginning")
      slice.ending = event.ts
      slice.outcome = event.args and event.args.outcome
    end
  end
  for _, slices in pairs(rows) do
    for _, slice in ipairs(slices) do slice.ending = slice.ending or math.huge end
    table.sort(slices, function(one, other)
      if one.begin ~= other.begin then return one.begin < other.begin end
      return one.ending > other.ending
    end)
  end
  return rows
end

-- Those of a row lie within each other, or behind one another. A moment is drawn as a slice of a
-- tenth of a microsecond.
local function check_nesting(slices)
  local stack = {}
  for _, slice in ipairs(slices) do
    while #stack > 0 and stack[#stack].ending <= slice.begin + 0.01 do table.remove(stack) end
    local outer = stack[#stack]
    if slice.ending - slice.begin > 0.11 then
      assert(outer == nil or slice.ending <= outer.ending + 0.01,
        ("%s is not within %s"):format(slice.name, outer and outer.name))
      table.insert(stack, slice)
    end
  end
end

local function check_arrows(events)
  local begun = {}
  for _, event in ipairs(events) do
    if event.ph == "s" then
      local key = event.cat .. event.id
      assert(not begun[key], "an arrow that begins twice")
      begun[key] = event
    end
  end
  for _, event in ipairs(events) do
    local from = event.ph ~= "f" or begun[event.cat .. event.id]
    assert(from, "an arrow that begins nowhere")
  end
  return begun
end

-- {events=, names=, slices=, arrows=, lost=}: the names of rows, the slices of each, the arrows as
-- {from =, to =, at =} with rows and times.
function traces.check(text)
  local events = json(text)
  for _, event in ipairs(events) do check_fields(event) end
  local trace = { events = events, names = {}, rows = {}, arrows = {}, slices = slices_of(events) }
  for _, event in ipairs(events) do
    if event.name == "thread_name" then
      trace.names[event.tid], trace.rows[event.args.name] = event.args.name, event.tid
    elseif event.name == "end of the trace" then
      trace.lost = event.args.lost
    end
  end
  for _, slices in pairs(trace.slices) do check_nesting(slices) end
  if trace.lost == 0 then
    local begun = check_arrows(events)
    for _, event in ipairs(events) do
      if event.ph == "f" then
        local from = begun[event.cat .. event.id]
        table.insert(trace.arrows, { from = from.tid, to = event.tid, at = from.ts })
      end
    end
  end
  return trace
end

function traces.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return traces.check(file:read "a")
end

-- The slices of a row, by the name of the row, that have the name.
function traces.slices(trace, row, name)
  local found = {}
  for _, slice in ipairs(trace.slices[trace.rows[row]] or {}) do
    if slice.name == name then table.insert(found, slice) end
  end
  return found
end

-- Whether an arrow leads from one row to the other.
function traces.has_arrow(trace, from, to)
  for _, arrow in ipairs(trace.arrows) do
    if trace.names[arrow.from] == from and trace.names[arrow.to] == to then
      return true
    end
  end
  return false
end

return traces
