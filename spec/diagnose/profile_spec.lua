local _thread = require "lthread"
local child = require "fixtures.child"
local threads = require "support.threads"

-- Ends the profile; returns how often each stack was met, and how many samples there were.
local function stop()
  local path = os.tmpname()
  local samples = _thread.profile_stop(path)
  local stacks = {}
  for line in io.lines(path) do
    local stack, count = line:match "^([^;]+;.+) (%d+)$"
    assert.is_truthy(stack, line)
    assert.is_nil(stacks[stack])
    stacks[stack] = math.tointeger(count)
  end
  os.remove(path)
  return stacks, samples
end

-- How often a stack was met that has the pattern.
local function met(stacks, pattern)
  local count = 0
  for stack, times in pairs(stacks) do
    if stack:find(pattern) then count = count + times end
  end
  return count
end

-- How often the thread has gone to sleep; nil where the system does not tell.
local function sleeps_of(ident)
  local path = ("/proc/self/task/%d/status"):format(threads.info_of(ident).native_id)
  local file <close> = io.open(path)
  return file and tonumber(file:read("a"):match "voluntary_ctxt_switches:%s*(%d+)")
end

describe("a profile", function()
  it("counts what threads compute, by their functions, and what they wait for", function()
    local done <const> = _thread.Event()
    local function inner()
      local n = 0
      for i = 1, 10000 do n = n + i end
      return n
    end
    local function compute()
      repeat inner() until done:is_set()
    end
    local line = debug.getinfo(inner, "S").linedefined
    _thread.profile_start(500)
    local computing = _thread.start_joinable_thread(compute, { name = "computing" })
    local waiting = _thread.start_joinable_thread(function() done:wait() end, { name = "waiting" })
    -- The profile goes on until the computing thread has used the processor for a while.
    local stacks, samples
    assert.is_true(threads.eventually(function()
      _thread.sleep(0.1)
      stacks, samples = stop()
      _thread.profile_start(500)
      return met(stacks, "^computing;.*profile_spec%.lua:" .. line .. "%)") > 0 and samples > 10
    end))
    done:set()
    computing:join()
    waiting:join()
    stop()
    assert.is_true(met(stacks, "^waiting;.*;wait %(%[C%]%);%[waits for Event%]$") > 0)
    assert.is_true(met(stacks, "^MainThread;.*;sleep %(%[C%]%);%[waits for sleep%]$") > 0)
    assert.is_true(met(stacks, "^waiting;") <= samples)
  end)

  it("does not disturb a thread that waits", function()
    local lock <const> = threads.held()
    local waiter = threads.start(function() lock:acquire() end)
    threads.await_blocked(waiter.ident)
    local stacks, samples, before, after
    assert.is_true(threads.eventually(function()
      before = sleeps_of(waiter.ident)
      _thread.profile_start(1000)
      _thread.sleep(0.05)
      stacks, samples = stop()
      after = sleeps_of(waiter.ident)
      return samples > 10
    end))
    assert.is_true(before == nil or after - before < samples // 2)
    lock:release()
    waiter:join()
    assert.equal(samples, met(stacks, "%[waits for lock%]$"))
  end)

  it("tells the name of a blocking section, and the line that has called it", function()
    local doors = require "support.doors"
    doors.make(1)
    local waiter = threads.start(function() return doors.wait(1, "some_call") end)
    assert.is_true(threads.eventually(function() return doors.see(1) > 0 end))
    assert.is_true(threads.eventually(function()
      _thread.profile_start(1000)
      _thread.sleep(0.05)
      return met((stop()), ";[^;]*profile_spec%.lua:%d+;%[in some_call%]$") > 0
    end))
    doors.open(1)
    assert.equal("open", threads.result(waiter))
  end)

  it("shows the coroutine that runs behind the main one", function()
    local path <const> = os.tmpname()
    local waiter = threads.start(function()
      local inside = coroutine.wrap(function()
        _thread.profile_start(1000)
        _thread.sleep(0.05)
        return _thread.profile_stop(path)
      end)
      return inside()
    end)
    waiter:join()
    local text = io.open(path):read "a"
    os.remove(path)
    assert.matches("inside %(%[C%]%);[^\n]*;sleep %(%[C%]%);%[waits for sleep%] %d+\n", text)
  end)

  it("refuses what makes no sense", function()
    local raises = threads.raises
    local RuntimeError, ValueError = _thread.RuntimeError, _thread.ValueError
    raises(RuntimeError, "no profile is being made", _thread.profile_stop, "/dev/null")
    for _, hz in ipairs { 0, -1, 1001 } do
      raises(ValueError, "hz is " .. hz .. ", it must be between", _thread.profile_start, hz)
    end
    raises(_thread.TypeError, "string expected", _thread.profile_stop)
    raises(ValueError, "zeros", _thread.profile_stop, "a\0b")
    _thread.profile_start(1)
    raises(RuntimeError, "a profile is being made already", _thread.profile_start)
    raises(RuntimeError, "can't write /no/such/profile: ", _thread.profile_stop, "/no/such/profile")
    raises(RuntimeError, "no profile is being made", _thread.profile_stop, "/dev/null")
  end)

  it("is dropped with the main state", function()
    assert.equal("done\nstatus 0\n", child [[
      local _thread = require "lthread"
      local function compute() while true do end end
      _thread.start_joinable_thread(compute, { daemon = true })
      _thread.profile_start(1000)
      _thread.sleep(0.02)
      print "done"
    ]])
  end)

  it("of a thread that does not answer says so", function()
    local text = child [[
      local _thread = require "lthread"
      local subject = ("a"):rep(1e4)
      local pattern = ("a-"):rep(8) .. "b"
      local function compute() subject:find(pattern) end
      _thread.start_joinable_thread(compute, { daemon = true, name = "matching" })
      _thread.profile_start(100)
      _thread.sleep(0.3)
      _thread.profile_stop "/dev/stdout"
      io.stdout:flush()
      os.exit(0, false)
    ]]
    assert.matches("matching;%[no answer%] %d+\n", text)
    assert.matches("MainThread;[^\n]*;%[waits for sleep%] %d+\n", text)
  end)
end)
