-- A thread that answers what is asked of it: f is sent once, and called with each message that
-- comes; what it returns comes back. Returns an object with ask(value) and stop().
local _thread = require "lthread"
local queue = require "lthread.queue"

local LONG = 300

return function(f)
  local questions, answers = queue.SimpleQueue(), queue.SimpleQueue()
  local handle = _thread.start_joinable_thread(function()
    while true do
      local question = questions:get(true, LONG)
      if question == "end" then return end
      answers:put(table.pack(pcall(f, question)))
    end
  end)
  local server = {}
  function server.ask(value)
    questions:put(value)
    local answer = answers:get(true, LONG)
    assert(answer[1], answer[2])
    return table.unpack(answer, 2, answer.n)
  end
  function server.stop()
    questions:put "end"
    handle:join()
  end
  return server
end
