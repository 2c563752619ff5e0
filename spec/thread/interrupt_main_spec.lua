local _thread = require "lthread"
local raised = require "support.raised"
local activities = require "support.activities"
local setups = require "support.setups"
local threads = require "support.threads"
local held, start, computing = threads.held, threads.start, activities.computing

setups.alone()
setups.quiet()

describe("interrupt_main", function()
  local function main_raises(f, prepare)
    local done = held()
    local handle = start(function()
      if not prepare() then error "the main thread did not come" end
      _thread.interrupt_main()
      done:acquire()
    end)
    raised(_thread.KeyboardInterrupt, f)
    done:release()
    handle:result()
  end

  local blocked = function() return threads.await_blocked() end

  it("breaks an acquire", function()
    local never = held()
    main_raises(function() never:acquire(true, threads.LONG) end, blocked)
    assert.is_true(never:locked())
  end)

  it("breaks a sleep", function()
    main_raises(function() _thread.sleep(threads.LONG) end, blocked)
  end)

  it("breaks a join", function()
    local never = held()
    local endless = start(function() never:acquire() end)
    main_raises(function() endless:join(threads.LONG) end, blocked)
    never:release()
    endless:result()
  end)

  it("breaks _shutdown", function()
    local never = held()
    local endless = _thread.start_joinable_thread(function() never:acquire() end,
      { daemon = false })
    main_raises(function() _thread._shutdown() end, blocked)
    never:release()
    endless:result()
  end)

  for what, f in pairs(computing) do
    it("breaks " .. what, function()
      local there = held()
      main_raises(function() f(there) end, function() return threads.await(there) end)
    end)
  end

  it("in the main thread raises at once", function()
    local reached = false
    raised(_thread.KeyboardInterrupt, function()
      _thread.interrupt_main()
      reached = true
    end)
    assert.is_false(reached)
    raised(_thread.KeyboardInterrupt, function() _thread.interrupt_main { signum = 2 } end)
  end)

  it("refuses numbers that no signal has", function()
    for _, number in ipairs { 0, -1, 1000, math.maxinteger, math.mininteger } do
      local e = raised(_thread.ValueError, _thread.interrupt_main, number)
      assert.truthy(e.message:find("signal number " .. number .. " out of range", 1, true),
        e.message)
    end
    raised(_thread.TypeError, _thread.interrupt_main, "INT")
    raised(_thread.TypeError, _thread.interrupt_main, 1.5)
  end)

  it("does nothing with a signal that is ignored or has its default", function()
    for _, number in ipairs { 1, 10, 12, 15, 17 } do
      _thread.interrupt_main(number)
    end
    start(function() _thread.interrupt_main(15) end):result()
  end)
end)
