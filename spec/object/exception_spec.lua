local _thread = require "lthread"
local raised = require "support.raised"

local isinstance = _thread.isinstance

local function start(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) })
end

describe("the exception classes", function()
  it("form Python's tree", function()
    local bases = {
      Exception = "BaseException",
      SystemExit = "BaseException",
      KeyboardInterrupt = "BaseException",
      TimeLimitError = "BaseException",
      RuntimeError = "Exception",
      ValueError = "Exception",
      TypeError = "Exception",
      OverflowError = "Exception",
    }
    for name, base in pairs(bases) do
      assert.equal(_thread[base], _thread[name].__base__)
      assert.equal(name, _thread[name].__name__)
    end
    assert.is_nil(_thread.BaseException.__base__)
    assert.equal("BaseException", _thread.BaseException.__name__)
  end)

  it("have RuntimeError under the name of error too", function()
    assert.equal(_thread.RuntimeError, _thread.error)
  end)

  it("are named in their strings", function()
    assert.equal("<class 'ValueError'>", tostring(_thread.ValueError))
    assert.equal("<class 'Mine'>", tostring(_thread.ValueError:subclass("Mine")))
    assert.equal("<class '_thread.lock'>", tostring(_thread.LockType))
  end)

  it("have no other fields and can't be written", function()
    assert.is_nil(_thread.ValueError.missing)
    assert.is_nil(_thread.ValueError[1])
    assert.is_false(pcall(function()
      _thread.ValueError.field = 1
    end))
    assert.is_nil(_thread.ValueError.field)
  end)

  it("are the same in every thread", function()
    local ValueError, list, same = start(function(class)
      return _thread.ValueError, { _thread.SystemExit, class }, class == _thread.TypeError
    end, _thread.TypeError):result()
    assert.equal(_thread.ValueError, ValueError)
    assert.same({ _thread.SystemExit, _thread.TypeError }, list)
    assert.is_true(same)
  end)
end)

describe("an exception", function()
  it("has a message, its arguments and its class", function()
    local exception = _thread.ValueError("no", 2, nil, false, nil)
    assert.equal("no", exception.message)
    assert.same({ n = 5, "no", 2, nil, false, nil }, exception.args)
    assert.equal(_thread.ValueError, exception.__class__)
    assert.equal(_thread.ValueError, getmetatable(exception))
  end)

  it("has an empty message without arguments", function()
    local exception = _thread.TypeError()
    assert.equal("", exception.message)
    assert.same({ n = 0 }, exception.args)
    assert.matches("exception_spec%.lua:%d+: TypeError$", tostring(exception))
  end)

  it("has its first argument as a string for a message", function()
    assert.equal("12", _thread.ValueError(12).message)
    assert.equal("nil", _thread.ValueError(nil, 1).message)
    assert.equal("<class 'TypeError'>", _thread.ValueError(_thread.TypeError).message)
    local named = setmetatable({}, {
      __tostring = function()
        return "by its own string"
      end,
    })
    local exception = _thread.ValueError(named)
    assert.equal("by its own string", exception.message)
    assert.equal(named, exception.args[1])
  end)

  it("says where it was made, its class and its message", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local exception = _thread.ValueError("no")
    assert.equal(("spec/object/exception_spec.lua:%d: "):format(line),
      exception.where:match("spec/.*$"))
    assert.equal(exception.where .. "ValueError: no", tostring(exception))
  end)

  it("says where the library was called that raised it", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local exception = raised(_thread.RuntimeError, function()
      _thread.allocate_lock():release()
    end)
    assert.equal(("object/exception_spec.lua:%d: RuntimeError: release unlocked lock"):format(line),
      tostring(exception):match("object/.*$"))
    assert.same({ n = 1, "release unlocked lock" }, exception.args)
    local innermost = ("^stack traceback:\n[^\n]*exception_spec%%.lua:%d: in "):format(line)
    assert.matches(innermost, exception.traceback)
  end)

  it("keeps the stack of the place where it was made", function()
    local function culprit()
      local exception = _thread.ValueError("deep")
      return exception
    end
    local exception = culprit()
    assert.matches("^stack traceback:\n", exception.traceback)
    assert.matches("in local 'culprit'", exception.traceback, 1, true)
  end)

  it("has the string that its fields say", function()
    local exception = _thread.ValueError("no")
    exception.message = "changed"
    exception.where = "here: "
    assert.equal("here: ValueError: changed", tostring(exception))
    exception.where = nil
    assert.equal("ValueError: changed", tostring(exception))
    exception.message = ""
    assert.equal("ValueError", tostring(exception))
  end)

  it("is joined to strings and to its like", function()
    local exception = _thread.ValueError("no")
    local string = tostring(exception)
    assert.equal("failed: " .. string, "failed: " .. exception)
    assert.equal(string .. "!", exception .. "!")
    assert.equal(string .. string, exception .. exception)
    assert.equal("12" .. string, 12 .. exception)
  end)

  it("is raised and caught as the value it is", function()
    local exception = _thread.ValueError("no")
    local ok, caught = pcall(error, exception)
    assert.is_false(ok)
    assert.is_true(rawequal(exception, caught))
  end)

  it("takes fields of the script's own", function()
    local exception = _thread.ValueError("no")
    exception.code = 404
    assert.equal(404, exception.code)
    assert.is_nil(exception.missing)
  end)

  it("is what exit raises", function()
    local exception = raised(_thread.SystemExit, _thread.exit)
    assert.equal("", exception.message)
    assert.is_false(isinstance(exception, _thread.Exception))
    raised(_thread.SystemExit, _thread.exit_thread)
  end)
end)

describe("a subclass", function()
  it("has a name and a base", function()
    local Mine = _thread.ValueError:subclass("Mine")
    assert.equal("Mine", Mine.__name__)
    assert.equal(_thread.ValueError, Mine.__base__)
    assert.equal("", _thread.Exception:subclass("").__name__)
  end)

  it("makes exceptions of its own and its bases' classes", function()
    local Mine = _thread.ValueError:subclass("Mine")
    local Inner = Mine:subclass("Inner")
    local exception = Inner("deep", 1)
    for _, class in ipairs { Inner, Mine, "ValueError", "Exception", "BaseException" } do
      assert.is_true(isinstance(exception, _thread[class] or class))
    end
    assert.is_false(isinstance(Mine("no"), Inner))
    assert.is_false(isinstance(exception, _thread.TypeError))
    assert.equal("deep", exception.message)
    assert.matches(": Inner: deep$", tostring(exception))
  end)

  it("is another one each time, with the same name too", function()
    local one, two = _thread.ValueError:subclass("Mine"), _thread.ValueError:subclass("Mine")
    assert.not_equal(one, two)
    assert.is_false(isinstance(one("no"), two))
  end)

  it("outlives the collection of what a script drops", function()
    local exception = _thread.ValueError:subclass("Base"):subclass("Derived")("kept")
    collectgarbage()
    collectgarbage()
    assert.equal("Derived", exception.__class__.__name__)
    assert.equal("Base", exception.__class__.__base__.__name__)
    assert.is_true(isinstance(exception, exception.__class__.__base__))
  end)

  it("needs a class of exceptions and a name", function()
    assert.is_nil(_thread.LockType.subclass)
    local subclass = _thread.ValueError.subclass
    raised(_thread.TypeError, subclass, _thread.LockType, "Mine")
    raised(_thread.TypeError, subclass, "ValueError", "Mine")
    raised(_thread.ValueError, subclass, _thread.ValueError, "Mi\0ne")
    local exception = raised(_thread.TypeError, function()
      _thread.ValueError:subclass(5)
    end)
    assert.equal("bad argument #1 to 'subclass' (string expected, got number)", exception.message)
  end)

  it("is the same class when a thread hands it back", function()
    local Mine = _thread.ValueError:subclass("Mine")
    local back, base, same = start(function(class)
      return Mine, class.__base__, class == Mine
    end, Mine):result()
    assert.equal(Mine, back)
    assert.equal(_thread.ValueError, base)
    assert.is_true(same)
  end)

  it("may come from a thread that has ended", function()
    local Theirs, exception = start(function()
      local class = _thread.TypeError:subclass("Theirs")
      return class, class("made there")
    end):result()
    assert.equal("Theirs", Theirs.__name__)
    assert.equal(_thread.TypeError, Theirs.__base__)
    assert.is_true(isinstance(exception, Theirs))
    assert.is_true(isinstance(Theirs("made here"), getmetatable(exception)))
  end)
end)

describe("isinstance", function()
  it("knows an exception by its class and those above", function()
    local exception = _thread.OverflowError("much")
    assert.is_true(isinstance(exception, _thread.OverflowError))
    assert.is_true(isinstance(exception, _thread.Exception))
    assert.is_true(isinstance(exception, _thread.BaseException))
    assert.is_false(isinstance(exception, _thread.ValueError))
    assert.is_false(isinstance(exception, _thread.SystemExit))
    assert.is_false(isinstance(_thread.KeyboardInterrupt(), _thread.Exception))
    assert.is_false(isinstance(_thread.Exception(), _thread.ValueError))
  end)

  it("takes a list of classes for any one of them", function()
    local exception = _thread.ValueError("no")
    assert.is_true(isinstance(exception, { _thread.TypeError, _thread.ValueError }))
    assert.is_true(isinstance(exception, { _thread.Exception }))
    assert.is_false(isinstance(exception, { _thread.TypeError, _thread.SystemExit }))
    assert.is_false(isinstance(exception, {}))
  end)

  it("is false for every other value", function()
    local values = {
      false, true, 0, 1.5, "ValueError", {}, print, io.stdout, coroutine.create(print),
      setmetatable({}, { __name = "ValueError" }), _thread.ValueError,
    }
    for _, value in ipairs(values) do
      assert.is_false(isinstance(value, _thread.BaseException))
      assert.is_false(isinstance(value, { _thread.LockType, _thread.ValueError }))
    end
    assert.is_false(isinstance(nil, _thread.BaseException))
  end)

  it("knows the objects of the other types", function()
    local handle = _thread._ThreadHandle()
    assert.is_true(isinstance(handle, _thread._ThreadHandle))
    assert.is_true(isinstance(_thread.allocate_lock(), { _thread.RLock, _thread.LockType }))
    assert.is_false(isinstance(handle, _thread.LockType))
    assert.is_false(isinstance(handle, _thread.BaseException))
  end)

  it("wants classes", function()
    for _, class in ipairs { 1, "ValueError", print, io.stdout, true, { 1 } } do
      raised(_thread.TypeError, isinstance, _thread.ValueError(), class)
    end
    raised(_thread.TypeError, isinstance, 1, { _thread.TypeError, "ValueError" })
    raised(_thread.TypeError, isinstance, 1)
    local exception = raised(_thread.TypeError, function()
      _thread.isinstance({}, 7)
    end)
    assert.equal("bad argument #2 to 'isinstance' (class or list of classes expected, got number)",
      exception.message)
  end)
end)

describe("an exception that leaves a thread", function()
  setup(function()
    _thread.set_excepthook(function() end)
  end)

  teardown(function()
    _thread.set_excepthook(nil)
  end)

  it("is raised by result as it was", function()
    local Mine = _thread.ValueError:subclass("Mine")
    local line = debug.getinfo(1, "l").currentline + 2
    local thread = start(function()
      error(Mine("there", 2, nil, { 4 }))
    end)
    local exception = raised(Mine, thread.result, thread)
    assert.equal(Mine, exception.__class__)
    assert.equal("there", exception.message)
    assert.same({ n = 4, "there", 2, nil, { 4 } }, exception.args)
    local place = ("exception_spec.lua:%d: "):format(line)
    assert.matches(place .. "Mine: there", tostring(exception), 1, true)
    assert.matches(place .. "in ", exception.traceback, 1, true)
  end)

  it("is raised by every call of result", function()
    local thread = start(function()
      error(_thread.TypeError("again"))
    end)
    for _ = 1, 3 do
      assert.equal("again", raised(_thread.TypeError, thread.result, thread).message)
    end
    assert.is_true(thread:join())
  end)

  it("keeps the fields that a script gave it", function()
    local thread = start(function()
      local exception = _thread.ValueError("no")
      exception.code = 404
      exception.self = exception
      error(exception)
    end)
    local exception = raised(_thread.ValueError, thread.result, thread)
    assert.equal(404, exception.code)
    assert.is_true(rawequal(exception, exception.self))
  end)

  it("comes from the library as well", function()
    local lock = _thread.allocate_lock()
    local thread = start(function()
      lock:release()
    end)
    local exception = raised(_thread.RuntimeError, thread.result, thread)
    assert.equal("release unlocked lock", exception.message)
  end)

  it("crosses through one thread after another", function()
    local Mine = _thread.TypeError:subclass("Mine")
    local outer = start(function()
      _thread.start_joinable_thread(function()
        error(Mine("inner"))
      end):result()
    end)
    assert.equal("inner", raised(Mine, outer.result, outer).message)
  end)

  it("is told by its class in the thread that catches it", function()
    local Mine = _thread.ValueError:subclass("Mine")
    assert.same({ false, true, true, false }, { start(function(exception)
      local ok, caught = pcall(error, exception)
      return ok, _thread.isinstance(caught, Mine), _thread.isinstance(caught, _thread.ValueError),
        _thread.isinstance(caught, _thread.TypeError)
    end, Mine("sent")):result() })
  end)

  it("may be any other value", function()
    for _, value in ipairs { "plain", 12, 1.5, true, false } do
      local thread = start(function()
        error(value, 0)
      end)
      assert.same({ false, value }, { pcall(thread.result, thread) })
    end
    local thread = start(function()
      error({ code = 7 })
    end)
    assert.same({ false, { code = 7 } }, { pcall(thread.result, thread) })
  end)
end)

describe("a wrong argument", function()
  local function message(f, ...)
    return raised(_thread.TypeError, f, ...).message
  end

  it("is told with the name of the function, also when pcall calls it", function()
    local lock, handle = _thread.allocate_lock(), _thread._ThreadHandle()
    assert.equal("bad argument #1 to 'sleep' (number expected, got table)",
      message(_thread.sleep, {}))
    assert.equal("bad argument #1 to 'sleep' (number expected, got table)",
      message(function() _thread.sleep({}) end))
    assert.equal("bad argument #1 to 'start_new' (function expected, got no value)",
      message(_thread.start_new))
    assert.equal("bad argument #1 to 'release_lock' (_thread.lock expected, got no value)",
      message(lock.release_lock))
    assert.equal("bad argument #2 to 'join' (number expected, got string)",
      message(handle.join, handle, "soon"))
    assert.equal("bad argument #1 to 'join' (number expected, got string)",
      message(function() handle:join("soon") end))
  end)

  it("of isinstance is told by its place", function()
    assert.equal("bad argument #1 to 'isinstance' (value expected)", message(isinstance))
    local second = "bad argument #2 to 'isinstance' (%s)"
    assert.equal(second:format("class or list of classes expected, got no value"),
      message(isinstance, 1))
    assert.equal(second:format("class or list of classes expected, got nil"),
      message(isinstance, 1, nil))
    assert.equal(second:format("class expected at index 2 of the list, got number"),
      message(isinstance, 1, { _thread.Exception, 2 }))
    assert.equal(second:format("class expected at index 1 of the list, got _thread.lock"),
      message(isinstance, 1, { _thread.lock() }))
  end)
end)
