-- A pipeline of three stages: lines are read, taken apart, and counted. The queues between them are
-- short, so a stage that is fast waits for one that is slow, and memory stays small however much
-- there is to read.
--
--     lua5.4 examples/pipeline.lua [FILE]

local _thread = require "lthread"
local queue = require "lthread.queue"
local threading = require "lthread.threading"

local MOST_WAITING = 16 -- batches in a queue: who would put one more waits
local LINES_A_BATCH = 500

local read, parsed = queue.Queue(MOST_WAITING), queue.Queue(MOST_WAITING)
local waits = _thread.shared {read = 0, parsed = 0} -- how often a stage found the next one busy

local function put(next_stage, name, batch)
  if next_stage:full() then _thread.add(waits, name, 1) end
  next_stage:put(batch)
end

-- The first stage. When it ends, however that is, the next one is told that nothing more comes.
local function read_lines(path)
  local _ <close> = setmetatable({}, {__close = function() read:shutdown() end})
  local batch = {}
  for line in io.lines(path) do
    batch[#batch + 1] = line
    if #batch == LINES_A_BATCH then
      put(read, "read", batch)
      batch = {}
    end
  end
  put(read, "read", batch)
end

-- The second one: several threads share the work.
local function split_lines()
  for _, lines in read:each() do
    local words = {}
    for _, line in ipairs(lines) do
      for word in line:lower():gmatch "%a+" do words[#words + 1] = word end
    end
    put(parsed, "parsed", words)
  end
end

-- The last one.
local function count_words()
  local counts, all = {}, 0
  for _, words in parsed:each() do
    for _, word in ipairs(words) do counts[word] = (counts[word] or 0) + 1 end
    all = all + #words
  end
  return counts, all
end

-- A text to work on, where none is given.
local function make_text()
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  for i = 1, 40000 do
    file:write("line ", i, " of a text that repeats itself, as texts made for examples do\n")
  end
  return path
end

local path = arg[1] or make_text()
local started = _thread.monotonic()
local reader = threading.Thread {name = "reader", target = read_lines, args = {path}}
local splitters = {}
for i = 1, 2 do splitters[i] = threading.Thread {name = "splitter " .. i, target = split_lines} end
local counter = threading.Thread {name = "counter", target = count_words}

reader:start()
counter:start()
for _, splitter in ipairs(splitters) do splitter:start() end

reader:result()
for _, splitter in ipairs(splitters) do splitter:result() end
parsed:shutdown()
local counts, all = counter:result()
if not arg[1] then os.remove(path) end

local distinct = 0
for _ in pairs(counts) do distinct = distinct + 1 end
print(("%d words, %d of them different, in %.2f s"):format(all, distinct,
  _thread.monotonic() - started))
print(("the reader waited %d times, the splitters %d times"):format(waits.read, waits.parsed))
