-- copy(t, i, j) and assign(t, i, list): a range of a shared table as one step.
local _thread = require "lthread"
local queue = require "lthread.queue"
local child = require "fixtures.child"
local raised = require "support.raised"
local setups = require "support.setups"
local threads = require "support.threads"
local shared, copy, assign = _thread.shared, _thread.copy, _thread.assign

setups.alone()

describe("copy of a range", function()
  local t = shared { "a", "b", "c", "d", x = "named" }

  it("is a plain list of the fields from i to j", function()
    assert.same({ "b", "c" }, copy(t, 2, 3))
    assert.same({ "a" }, copy(t, 1, 1))
    assert.equal("table", type(copy(t, 1, 4)))
    assert.is_nil(getmetatable(copy(t, 1, 4)))
  end)

  it("begins with 1 and ends with #t by default", function()
    assert.same({ "c", "d" }, copy(t, 3))
    assert.same({ "a", "b" }, copy(t, nil, 2))
    assert.same({ "a", "b", "c", "d" }, copy(t, 1))
    assert.same({ "a", "b", "c", "d", x = "named" }, copy(t))
    assert.same({ "a", "b", "c", "d", x = "named" }, copy(t, nil, nil))
  end)

  it("is empty where there is nothing", function()
    assert.same({}, copy(t, 5))
    assert.same({}, copy(t, 3, 2))
    assert.same({}, copy(t, 10, 20))
    assert.same({}, copy(t, math.maxinteger, math.mininteger))
    assert.same({}, copy(shared(), 1))
  end)

  it("keeps the places of what is nil", function()
    local holes = shared { [1] = 1, [3] = 3, [7] = 7, [1000000] = "far", [-2] = "below", [0] = 0 }
    assert.same({ nil, 3, nil, nil, nil, 7 }, copy(holes, 2, 10))
    assert.same({ "below", nil, 0, 1 }, copy(holes, -2, 1))
    assert.same({ [999990] = "far" }, copy(holes, 11, math.maxinteger))
    raised(_thread.ValueError, copy, holes, math.mininteger, math.maxinteger)
    raised(_thread.ValueError, copy, holes, math.mininteger)
  end)

  it("finds what was put in any order", function()
    for _, order in ipairs { { 1, 400, 1 }, { 400, 1, -1 }, { 2, 400, 2 } } do
      local list = shared()
      for i = order[1], order[2], order[3] do list[i] = i end
      local part = copy(list, 100, 300)
      for i = 100, 300 do assert.equal(list[i], part[i - 99]) end
      assert.is_nil(part[202])
    end
  end)

  it("has plain copies of the tables in it, once each, and objects as they are", function()
    local row, q = { 1, 2, { 3 } }, queue.Queue()
    local f = function() return "f" end
    local list = shared { row, row, q, f, 2.5 }
    list[6] = list
    local part = copy(list, 2, 6)
    assert.same({ 1, 2, { 3 } }, part[1])
    assert.equal(q, part[2])
    assert.equal("f", part[3]())
    assert.equal(2.5, part[4])
    assert.equal("table", type(part[5]))
    assert.equal(part[5], part[5][6])
    assert.equal(part[1], part[5][1])
    local rows = copy(list, 1, 2)
    assert.equal(rows[1], rows[2])
  end)

  it("refuses what is no shared table or no integer", function()
    raised(_thread.TypeError, copy, {}, 1, 2)
    raised(_thread.TypeError, copy, t, "one")
    raised(_thread.TypeError, copy, t, 1.5)
    raised(_thread.TypeError, copy, t, 1, {})
    assert.same({ "b" }, copy(t, "2", 2.0))
  end)
end)

describe("assign", function()
  it("sets fields in a row", function()
    local t = shared { 1, 2, 3 }
    assert.equal(0, select("#", assign(t, 2, { "two", "three", "four" })))
    assert.same({ 1, "two", "three", "four" }, copy(t))
    assign(t, 1, {})
    assert.equal(4, #t)
    assign(t, -1, { "a", "b" })
    assert.same({ [-1] = "a", [0] = "b", 1, "two", "three", "four" }, copy(t))
  end)

  it("takes the length from n, and then nil for a value", function()
    local t = shared { 1, 2, 3, 4 }
    assign(t, 2, { n = 3, nil, "three" })
    assert.same({ 1, nil, "three" }, copy(t))
    assign(t, 1, { n = 4 })
    assert.same({}, copy(t))
    assign(t, 1, table.pack(nil, 2))
    assert.same({ nil, 2 }, copy(t))
  end)

  it("shares tables, stores functions, and keeps objects", function()
    local t, q, f = shared(), queue.Queue(), function() return 1 end
    local row = { 1, 2 }
    assign(t, 1, { row, q, f, "s", false, 1.5, t })
    assert.is_true(_thread.isinstance(t[1], shared))
    assert.same({ 1, 2 }, copy(t[1]))
    assert.equal(q, t[2])
    assert.equal(f, t[3])
    assert.same({ "s", false, 1.5 }, { t[4], t[5], t[6] })
    assert.equal(t, t[7])
    local there = threads.call(function() return t[3]() + t[1][2] end)
    assert.equal(3, there)
    assign(t, 3, { 7 })
    assert.equal(7, t[3])
    assign(t, 1, { n = 7 })
    assert.same({}, copy(t))
  end)

  it("changes nothing where a value can't be shared", function()
    local t = shared { 1, 2, 3 }
    for _, value in ipairs { coroutine.create(print), { { coroutine.create(print) } } } do
      raised(_thread.TypeError, assign, t, 1, { "a", "b", value })
      assert.same({ 1, 2, 3 }, copy(t))
    end
  end)

  it("refuses wrong arguments", function()
    local t = shared()
    raised(_thread.TypeError, assign, {}, 1, {})
    raised(_thread.TypeError, assign, t, "one", {})
    raised(_thread.TypeError, assign, t, 1)
    raised(_thread.TypeError, assign, t, 1, t)
    raised(_thread.TypeError, assign, t, 1, { n = -1 })
    local e = raised(_thread.ValueError, assign, t, math.maxinteger, { 1, 2 })
    assert.truthy(e.message:find("too large for a list of 2 values", 1, true), e.message)
    assign(t, math.maxinteger, { "last" })
    assert.equal("last", t[math.maxinteger])
    assign(t, math.mininteger, { "first" })
    assert.equal("first", t[math.mininteger])
  end)

  it("raises where so many values have no place", function()
    local ok, e = pcall(assign, shared(), 1, { n = 1 << 61 })
    assert.is_false(ok)
    assert.truthy(tostring(e):find("memory", 1, true), tostring(e))
  end)

  it("leaves the table fit for all else, in whatever order", function()
    local t, model = shared(), {}
    local state = 7
    local function random(n)
      state = (state * 1103515245 + 12345) % 2147483648
      return state // 65536 % n
    end
    for _ = 1, 2000 do
      local first, list = random(60) - 10, { n = random(20) }
      for k = 1, list.n do
        local kind = random(4)
        list[k] = kind == 0 and "s" .. k or kind == 1 and k or kind == 2 and k + 0.5 or nil
      end
      assign(t, first, list)
      for k = 1, list.n do model[first + k - 1] = list[k] end
      local i = random(60) - 10
      t[i], model[i] = i, i
    end
    assert.same(model, copy(t))
    for i = -10, 80, 7 do
      local part = {}
      for k = i, i + 20 do part[k - i + 1] = model[k] end
      assert.same(part, copy(t, i, i + 20))
    end
  end)
end)

describe("a range of a shared table", function()
  it("is one step to all threads", function()
    local ROUNDS <const> = os.getenv "LTHREAD_SANITIZER" and 100 or 500
    local t, stop = shared(), threads.held()
    local function list_of(value, n)
      local list = {}
      for k = 1, n do list[k] = value end
      return list
    end
    assign(t, 1, list_of(0, 50))
    local function write(number)
      local i = 0
      while stop:locked() do
        i = i + 1
        assign(t, 1, list_of(number * 1000000 + i, 50))
      end
      return i
    end
    local function write_parts()
      while stop:locked() do
        assign(t, 51, { "a", "b", "c" })
        assign(t, 51, { n = 3 })
      end
    end
    local writers = { threads.start(write, 1), threads.start(write, 2),
      threads.start(write_parts) }
    for _ = 1, ROUNDS do
      local list = copy(t, 1)
      for k = 2, 50 do assert.equal(list[1], list[k]) end
      assert.is_true(#list == 50 or #list == 53, #list)
    end
    stop:release()
    for _, writer in ipairs(writers) do threads.result(writer) end
  end)

  it("gives back all that it had", function()
    local t = shared()
    local before
    for round = 1, 3 do
      for _ = 1, 50 do
        local f, text = function() return round end, ("long"):rep(100)
        assign(t, 1, { { 1, { 2 } }, f, text, queue.Queue() })
        copy(t, 1, 4)
        pcall(assign, t, 1, { { 1 }, coroutine.create(print) })
      end
      assign(t, 1, { n = 4 })
      for _ = 1, 3 do collectgarbage() end
      _thread.collect()
      before = before or _thread.shared_memory()
    end
    assert.equal(before, _thread.shared_memory())
  end)

  it("may be used in a finalizer at the end of the main state", function()
    assert.equal("2\nstatus 0\n", child [[
      local _thread = require "lthread"
      KEPT = setmetatable({}, { __gc = function()
        local t = _thread.shared()
        _thread.assign(t, 1, { 1, 2 })
        print(#_thread.copy(t, 1, 2))
      end })
    ]])
  end)
end)
