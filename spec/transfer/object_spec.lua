-- Shared objects, their methods and exceptions cross between threads.
local _thread = require "lthread"
local transfers = require "support.transfers"
local call, echo = transfers.call, transfers.echo

local function nothing() end

describe("a shared object crosses", function()
  it("by reference inside of tables, upvalues and keys", function()
    local lock, rlock = _thread.allocate_lock(), _thread.RLock()
    local handle = _thread._ThreadHandle()
    lock:acquire()
    local same, back = call(function(t)
      t.deep[1].lock:release()
      return t.deep[1].lock == lock and t[lock] == handle, t
    end, { deep = { { lock = lock } }, [lock] = handle, rlock = rlock })
    assert.is_true(same)
    assert.is_false(lock:locked())
    assert.equal(lock, back.deep[1].lock)
    assert.equal(handle, back[lock])
    assert.equal(rlock, back.rlock)
  end)

  it("by reference if it is a class", function()
    local mine = _thread.ValueError:subclass("Mine")
    assert.same({ true, true, "Mine" }, { call(function(class, lock_class)
      return class.__base__ == _thread.ValueError, lock_class == _thread.LockType, class.__name__
    end, mine, _thread.LockType) })
    assert.equal(mine, echo(mine))
  end)
end)

describe("a method of a shared object crosses", function()
  local lock, rlock

  before_each(function()
    lock, rlock = _thread.allocate_lock(), _thread.RLock()
  end)

  it("as the function of a thread", function()
    lock:acquire()
    _thread.start_new_thread(lock.release, { lock })
    assert.is_true(lock:acquire(true, 60))
    assert.is_false((call(lock.acquire, lock, false)))
    local handle = _thread.start_joinable_thread(nothing)
    assert.is_true((call(handle.join, handle, 60)))
  end)

  it("as an upvalue, an argument and a key", function()
    local release = lock.release
    lock:acquire()
    assert.is_true((call(function(acquire, by_function)
      release(lock)
      return acquire(lock, false) and by_function[release] == "release"
    end, lock.acquire, { [release] = "release" })))
    assert.is_true(lock:locked())
  end)

  it("as the one that the receiver has", function()
    local methods = { lock.acquire, lock.acquire_lock, rlock.acquire, rlock._is_owned, lock.hold }
    assert.is_true((call(function(theirs)
      local l, r = _thread.allocate_lock(), _thread.RLock()
      local own = { l.acquire, l.acquire_lock, r.acquire, r._is_owned, l.hold }
      for i, method in ipairs(theirs) do
        if not rawequal(method, own[i]) then
          return i
        end
      end
      return #theirs == #own
    end, methods)))
    assert.same(methods, echo(methods))
  end)

  it("to a thread that has no such object yet", function()
    local is_owned = rlock._is_owned
    assert.same({ true, "function" }, { call(function(f, type)
      return f == _thread.RLock()._is_owned, type(f)
    end, is_owned, type) })
  end)

  it("bound to its object, in a function of the script", function()
    lock:acquire()
    local function unlock() lock:release() end
    _thread.start_joinable_thread(unlock):join()
    assert.is_false(lock:locked())
  end)
end)

describe("an exception crosses", function()
  it("with its class, its message and its arguments", function()
    local e = _thread.ValueError("no", { detail = 1 }, nil)
    local is, isnt, message, n, detail, text = call(function(x)
      return _thread.isinstance(x, _thread.ValueError), _thread.isinstance(x, _thread.TypeError),
        x.message, x.args.n, x.args[2].detail, tostring(x)
    end, e)
    assert.is_true(is)
    assert.is_false(isnt)
    assert.same({ "no", 3, 1, tostring(e) }, { message, n, detail, text })
    local back = echo(e)
    assert.equal(e.traceback, back.traceback)
    assert.equal(getmetatable(e), getmetatable(back))
    assert.are_not.equal(nil, back.traceback)
  end)

  it("with a class of the user's own", function()
    local Mine = _thread.RuntimeError:subclass("Mine")
    local back = call(function() return select(2, pcall(error, Mine("made there"))) end)
    assert.is_true(_thread.isinstance(back, Mine))
    assert.is_true(_thread.isinstance(back, _thread.RuntimeError))
    assert.is_false(_thread.isinstance(_thread.RuntimeError("x"), Mine))
    assert.equal("made there", back.message)
  end)
end)
