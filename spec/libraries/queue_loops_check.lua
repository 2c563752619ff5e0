-- Event loops that others wrote, in the main thread, with what threads put into a queue.
-- `make libraries` runs this.
local child = require "fixtures.child"

local function run(code)
  return child([[
    local _thread = require "lthread"
    local results = require "lthread.queue".Queue()
    local sum, count = 0, 0
    -- Whether all have come.
    local function take()
      local is_there, message = results:try_get()
      if is_there then
        sum = sum + message
        count = count + 1
      end
      return count == 100
    end
    results:fileno()
    for _ = 1, 2 do
      _thread.start_new_thread(function(q)
        for i = 1, 50 do
          q:put(i)
          if i % 10 == 0 then _thread.sleep(0.001) end
        end
      end, { results })
    end
  ]] .. code .. "print(sum, count, results:qsize())")
end

local ALL = "2550\t100\t0\nstatus 0\n"

describe("the descriptor of a queue", function()
  it("is watched by luv", function()
    assert.equal(ALL, run [[
      local uv = require "luv"
      local poll = uv.new_poll(results:fileno())
      poll:start("r", function()
        if take() then poll:close() end
      end)
      uv.run()
    ]])
  end)

  it("is watched by cqueues", function()
    assert.equal(ALL, run [[
      local cqueues = require "cqueues"
      local loop = cqueues.new()
      loop:wrap(function()
        repeat
          cqueues.poll { pollfd = results:fileno(), events = "r" }
        until take()
      end)
      assert(loop:loop())
    ]])
  end)

  it("is watched by copas", function()
    assert.equal(ALL, run [[
      local copas = require "copas"
      local finished = false
      copas.addserver({
        getfd = function() return results:fileno() end,
        settimeout = function() end,
        accept = function()
          finished = take()
          return nil, "timeout"
        end,
      }, print)
      while not finished do copas.step(10) end
    ]])
  end)
end)
