-- What does not cross between threads is refused with the path to it.
local _thread = require "lthread"
local transfers = require "support.transfers"
local call, refuses, with_global = transfers.call, transfers.refuses, transfers.with_global

transfers.clean_up()

local function nothing() end

describe("a refusal", function()
  local co = coroutine.create(print)

  it("names the path to a coroutine", function()
    refuses("cannot transfer a coroutine (args[1])", nothing, co)
    refuses("cannot transfer a coroutine (args[2])", nothing, 1, co)
    refuses("cannot transfer a coroutine (args[1].job.co)", nothing, { job = { co = co } })
    refuses('cannot transfer a coroutine (args[1][3]["two words"])', nothing,
      { 1, 2, { ["two words"] = co } })
    refuses("cannot transfer a coroutine (args[2][7])", nothing, {}, { [7] = co })
    refuses("cannot transfer a coroutine (args[1]'s key [coroutine])", nothing, { [co] = 1 })
    refuses("cannot transfer a coroutine (args[1].a's metatable.co)", nothing,
      { a = setmetatable({}, { co = co }) })
  end)

  it("names the upvalue", function()
    refuses("cannot transfer a coroutine (function's upvalue co)", function() return co end)
    local table_of = { inner = { co } }
    refuses("cannot transfer a coroutine (function's upvalue table_of.inner[1])", function()
      return table_of
    end)
    refuses("cannot transfer a coroutine (args[1].f's upvalue co)", nothing,
      { f = function() return co end })
  end)

  it("names the global", function()
    with_global("lt_spec_job", co)
    refuses("cannot transfer a coroutine (function's global lt_spec_job)", function()
      return lt_spec_job -- luacheck: ignore
    end)
    refuses("cannot transfer a coroutine (function's global lt_spec_job)",
      load("return function() return lt_spec_job end"))
    with_global("lt_spec_helper", load("return lt_spec_job"))
    refuses("cannot transfer a coroutine (function's global lt_spec_helper's global lt_spec_job)",
      load("return lt_spec_helper()"))
  end)

  it("says what it is", function()
    local file <close> = io.tmpfile()
    refuses("cannot transfer a C function with upvalues (args[1])", nothing,
      (string.gmatch("x", ".")))
    refuses("cannot transfer a FILE* userdata (args[1].out)", nothing, { out = file })
    refuses("cannot transfer a FILE* userdata (function's upvalue file)", function()
      return file
    end)
  end)

  it("runs nothing of what was to be started", function()
    local lock = _thread.allocate_lock()
    lock:acquire()
    refuses("cannot transfer a coroutine (args[2])", function(l) l:release() end, lock, co)
    assert.is_true(lock:locked())
    assert.equal("well", (call(function() return "well" end)))
  end)

  it("of a very long path shows its end", function()
    local deep = { last = { co } }
    for _ = 1, 1000 do
      deep = { deep }
    end
    local ok, e = pcall(_thread.start_new_thread, nothing, { deep })
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.TypeError))
    assert.truthy(e.message:find("^cannot transfer a coroutine %(args%[1%]%.%.%."), e.message)
    assert.truthy(e.message:find(".last[1])", 1, true), e.message)
    assert.is_true(#e.message < 200)
  end)
end)
