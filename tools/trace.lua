-- Draws a trace of lthread as SVG:
--
--     lua tools/trace.lua [--from MS] [--to MS] [--width PIXELS] [--title TEXT] in.json >out.svg
--
-- Each thread is a row: blue while it runs (or could: the system may have given the processor to
-- another), other colours for what it waits for; below are its spans, tasks and collections. A line
-- leads from who has woken a thread to where it goes on. A file that breaks off is drawn, too.
local json = dofile((arg[0]:match "^(.*/)" or "") .. "json.lua")

local colours <const> = { running = "#4c78a8", lock = "#e45756", queue = "#f58518",
  sleep = "#dddddd", join = "#bab0ac", other = "#b279a2", span = "#72b7b2", task = "#54a24b",
  collection = "#eeca3b", interrupt = "#d62728", arrow = "#444444" }
local LABELS <const>, ROW <const>, BAR <const>, LANE <const>, TOP <const> = 130, 40, 18, 11, 50
local MOST_ARROWS <const> = 400

local function fail(what)
  io.stderr:write("tools/trace.lua: ", what, "\n")
  os.exit(1)
end

local function read_options()
  local options, i = { width = 1100 }, 1
  while arg[i] and arg[i]:find "^%-%-" do
    local name = arg[i]:sub(3)
    if not ({ from = true, to = true, width = true, title = true })[name] or not arg[i + 1] then
      fail("usage: lua tools/trace.lua [--from MS] [--to MS] [--width PIXELS] [--title TEXT] FILE")
    end
    options[name] = name == "title" and arg[i + 1] or tonumber(arg[i + 1])
      or fail(arg[i] .. " wants a number")
    i = i + 2
  end
  options.path = arg[i] or fail "which file?"
  return options
end

-- The events; of one that breaks off, those that are whole, each in a line.
local function read_events(path)
  local file <close> = io.open(path, "rb") or fail("can't read " .. path)
  local text = file:read "a"
  local ok, events = pcall(json, text)
  local whole = text:match "^(%s*%[.*}),?%s*$" or text:match "^(%s*%[.*}),?\n"
  if not ok and whole then
    ok, events = pcall(json, whole .. "]")
  end
  return ok and events or fail(path .. ": " .. events)
end

--
-- What is in the trace
--

local function add_slice(row, slice)
  local lasts = slice.ending - slice.begin > 0.11
  if slice.cat == "thread" and lasts then
    row.life = slice
  elseif slice.cat == "wait" and lasts then
    table.insert(row.waits, slice)
  elseif slice.cat == "interrupt" then
    table.insert(row.marks, slice)
  elseif slice.cat ~= "wait" and slice.cat ~= "thread" then
    table.insert(row.lanes, slice)
  end
end

-- {rows =, arrows =, last =}, with times in microseconds.
local function understand(events)
  local rows, by_ident, left, arrows, open, last = {}, {}, {}, {}, {}, 0
  local function row_of(ident)
    if not by_ident[ident] then
      by_ident[ident] = { ident = ident, name = "thread " .. ident, waits = {}, lanes = {},
        marks = {} }
      table.insert(rows, by_ident[ident])
    end
    return by_ident[ident]
  end
  for _, event in ipairs(events) do
    last = math.max(last, (event.ts or 0) + (event.dur or 0))
  end
  for _, event in ipairs(events) do
    local ident, phase = event.tid, event.ph
    if ident == 0 then goto continue end
    local row = row_of(ident)
    if event.name == "thread_name" then
      row.name = event.args.name
    elseif phase == "X" then
      event.begin, event.ending = event.ts, event.ts + event.dur
      add_slice(row, event)
    elseif phase == "B" then
      event.begin = event.ts
      open[ident] = open[ident] or {}
      table.insert(open[ident], event)
    elseif phase == "E" then
      local slice = open[ident] and table.remove(open[ident])
      if slice then
        slice.ending = event.ts
        add_slice(row, slice)
      end
    elseif phase == "s" then
      left[event.id] = event
    elseif phase == "f" then
      table.insert(arrows, event)
    end
    ::continue::
  end
  for ident, slices in pairs(open) do
    for _, slice in ipairs(slices) do
      slice.ending = last
      add_slice(row_of(ident), slice)
    end
  end
  table.sort(rows, function(one, other) return one.ident < other.ident end)
  for number, row in ipairs(rows) do row.number = number end
  local whole = {}
  for _, arrow in ipairs(arrows) do
    local from = left[arrow.id]
    if from and by_ident[from.tid] then
      table.insert(whole, { from = by_ident[from.tid], to = by_ident[arrow.tid], left = from.ts,
        arrived = arrow.ts })
    end
  end
  return { rows = rows, arrows = whole, last = last }
end

--
-- Drawing
--

local function escape(text)
  return (text:gsub('[&<>"%c]', function(byte)
    return ({ ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" })[byte] or " "
  end))
end

local function put(format, ...)
  io.write(format:format(...), "\n")
end

local function kind_of_wait(name)
  return name:find "lock" and "lock" or name:find "queue" and "queue" or name == "sleep" and "sleep"
    or (name:find "join" or name:find "the end of") and "join" or "other"
end

local function describe(slice)
  local parts = { slice.name, ("%.3f ms"):format((slice.ending - slice.begin) / 1000) }
  local args = slice.args or {}
  if args["for"] then table.insert(parts, "for " .. args["for"]) end
  if args.at then table.insert(parts, "at " .. args.at) end
  if args.outcome then table.insert(parts, args.outcome) end
  return table.concat(parts, ", ")
end

local Picture = {}
Picture.__index = Picture

local function y_of(row)
  return TOP + (row.number - 1) * ROW
end

function Picture:x(time)
  local inside = math.max(self.from, math.min(self.to, time))
  return LABELS + (inside - self.from) / (self.to - self.from) * (self.width - LABELS - 10)
end

function Picture:shows(begin, ending)
  return ending > self.from and begin < self.to
end

-- Of many that lie within a pixel one is drawn.
function Picture:bar(slice, y, height, colour, drawn)
  local from, to = self:x(slice.begin), self:x(slice.ending)
  if not self:shows(slice.begin, slice.ending) then return end
  if to - from < 0.4 then
    if drawn.at and from - drawn.at < 0.4 then return end
    to = from + 0.4
  end
  drawn.at = to
  put('<rect x="%.2f" y="%g" width="%.2f" height="%g" fill="%s"><title>%s</title></rect>', from, y,
    to - from, height, colour, escape(describe(slice)))
end

function Picture:label(slice, y, height)
  local from, to = self:x(slice.begin), self:x(slice.ending)
  local most = math.floor((to - from - 3) / 4.8)
  if most < 3 or not self:shows(slice.begin, slice.ending) then return end
  local length = utf8.len(slice.name) or #slice.name
  local text = length <= most and slice.name
    or slice.name:sub(1, (utf8.offset(slice.name, most) or most + 1) - 1) .. "…"
  put('<text x="%.2f" y="%g" font-size="9">%s</text>', from + 2, y + height - 2, escape(text))
end

function Picture:row(row)
  local y, drawn = y_of(row), {}
  put('<text x="%d" y="%g" text-anchor="end">%s</text>', LABELS - 8, y + 13, escape(row.name))
  if row.life then self:bar(row.life, y, BAR, colours.running, {}) end
  for _, wait in ipairs(row.waits) do
    local kind = kind_of_wait(wait.name)
    drawn[kind] = drawn[kind] or {}
    self:bar(wait, y, BAR, colours[kind], drawn[kind])
  end
  drawn = {}
  for _, slice in ipairs(row.lanes) do
    self:bar(slice, y + BAR + 1, LANE, colours[slice.cat] or colours.other, drawn)
    self:label(slice, y + BAR + 1, LANE)
  end
  for _, mark in ipairs(row.marks) do
    if self:shows(mark.begin, mark.ending) then
      put('<path d="M%.2f %g l4 -7 l-8 0 z" fill="%s"><title>%s</title></path>', self:x(mark.begin),
        y, colours.interrupt, escape(mark.name))
    end
  end
end

function Picture:draw_arrows(arrows)
  local shown = {}
  for _, arrow in ipairs(arrows) do
    if self:shows(arrow.left, arrow.arrived) and arrow.from ~= arrow.to then
      table.insert(shown, arrow)
    end
  end
  local step = math.max(1, math.ceil(#shown / MOST_ARROWS))
  for i = 1, #shown, step do
    local arrow = shown[i]
    local down = arrow.to.number > arrow.from.number
    local y1 = y_of(arrow.from) + (down and BAR or 0)
    local y2 = y_of(arrow.to) + (down and 0 or BAR)
    put('<line x1="%.2f" y1="%g" x2="%.2f" y2="%g" stroke="%s" stroke-width="0.7" opacity="0.7" '
      .. 'marker-end="url(#tip)"/>', self:x(arrow.left), y1, self:x(arrow.arrived), y2,
      colours.arrow)
  end
end

function Picture:axis(height)
  local span = (self.to - self.from) / 1000
  local step = 10 ^ math.floor(math.log(span / 4, 10))
  if span / step > 20 then step = step * 5 elseif span / step > 10 then step = step * 2 end
  for i = math.ceil(self.from / 1000 / step), math.floor(self.to / 1000 / step) do
    local x = self:x(i * step * 1000)
    put('<line x1="%.2f" y1="%d" x2="%.2f" y2="%d" stroke="#eeeeee"/>', x, TOP - 12, x, height - 30)
    put('<text x="%.2f" y="%d" text-anchor="middle" fill="#777777">%g ms</text>', x, TOP - 16,
      i * step)
  end
end

local function legend(y, used)
  local x = LABELS
  for _, entry in ipairs { { "running", "runs" }, { "lock", "waits for a lock" },
    { "queue", "waits for a queue" }, { "join", "waits for threads" }, { "sleep", "sleeps" },
    { "other", "waits otherwise" }, { "span", "span" }, { "task", "task" },
    { "collection", "collects" }, { "interrupt", "interrupt" } } do
    local kind, text = entry[1], entry[2]
    if used[kind] then
      put('<rect x="%d" y="%d" width="10" height="10" fill="%s"/>', x, y, colours[kind])
      put('<text x="%d" y="%d">%s</text>', x + 14, y + 9, text)
      x = x + 30 + 6 * #text
    end
  end
end

local function kinds_used(picture, rows)
  local used = { running = true }
  for _, row in ipairs(rows) do
    for _, wait in ipairs(row.waits) do
      if picture:shows(wait.begin, wait.ending) then used[kind_of_wait(wait.name)] = true end
    end
    for _, slice in ipairs(row.lanes) do used[slice.cat] = true end
    if #row.marks > 0 then used.interrupt = true end
  end
  return used
end

local function draw(trace, options)
  local picture = setmetatable({ width = options.width, from = (options.from or 0) * 1000,
    to = options.to and options.to * 1000 or math.max(trace.last, 1) }, Picture)
  if picture.to <= picture.from then fail "nothing lies between --from and --to" end
  local height = TOP + #trace.rows * ROW + 30
  put('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
    .. 'font-family="sans-serif" font-size="11">', options.width, height, options.width, height)
  put('<defs><marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="5" markerHeight="5" '
    .. 'orient="auto"><path d="M0 0 L6 3 L0 6 z" fill="%s"/></marker></defs>', colours.arrow)
  put '<rect width="100%%" height="100%%" fill="white"/>'
  if options.title then
    put('<text x="%d" y="16" font-size="13" font-weight="bold">%s</text>', LABELS,
      escape(options.title))
  end
  picture:axis(height)
  for _, row in ipairs(trace.rows) do picture:row(row) end
  picture:draw_arrows(trace.arrows)
  legend(height - 20, kinds_used(picture, trace.rows))
  put "</svg>"
end

local options = read_options()
draw(understand(read_events(options.path)), options)
