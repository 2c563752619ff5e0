-- A finalizer changes what is being sent after each allocation of the sending in turn has failed:
-- the collector has freed then what it could, and goes on. What arrives must be what was there.
local failing = require "failing"
require "lthread"
local queue = require "lthread.queue"
local pace = require "support.pace"

local q = queue.SimpleQueue()
pace.set("pause", 0)
pace.set("stepmul", 1000)

local old, new, sending
local function watch()
  setmetatable({}, { __gc = function()
    if sending then
      for i = 1, #old do old[i] = false end
      for i = 1, #new do new[i] = { "new " .. i } end
    end
    watch()
  end })
end
watch()

local function send(message)
  sending = true
  q:put(message)
  sending = false
end

for n = 1, 400, 7 do
  old, new = {}, {}
  local work = {}
  for i = 1, 60 do
    old[i], new[i], work[i] = { "old " .. i }, false, load("return " .. i)
  end
  local _, ok = failing("once", n, send, { old, work, new })
  sending = false
  local message = ok and q:get()
  for i = 1, ok and 60 or 0 do
    assert(not message[1][i] or message[1][i][1] == "old " .. i)
    assert(not message[3][i] or message[3][i][1] == "new " .. i)
  end
end
print "passed"
