-- Several steps as one: add, swap, cas, update; and copies.
local _thread = require "lthread"
local raised = require "support.raised"

local add, swap, cas, update, copy =
  _thread.add, _thread.swap, _thread.cas, _thread.update, _thread.copy

local function start(f, ...)
  return _thread.start_joinable_thread(f, {args = table.pack(...)})
end

local function all(count, f)
  local threads = {}
  for i = 1, count do threads[i] = start(f, i) end
  for i = 1, count do threads[i]:result() end
end

describe("add", function()
  local t

  before_each(function()
    t = _thread.shared()
  end)

  it("adds as Lua does and returns the sum", function()
    assert.equal(1, add(t, "n", 1))
    assert.equal(-4, add(t, "n", -5))
    assert.equal("integer", math.type(t.n))
    assert.equal(-3.5, add(t, "n", 0.5))
    assert.equal("float", math.type(add(t, "n", 1)))
    t.n = math.maxinteger
    assert.equal(math.mininteger, add(t, "n", 1))
    assert.equal(2.5, add(t, 1, 2.5))
    assert.equal(2.5, t[1])
  end)

  it("refuses what is no number and changes nothing", function()
    t.s = "12"
    assert.matches("cannot add to field 's' %(a string value%)",
      raised(_thread.TypeError, add, t, "s", 1).message)
    assert.matches("bad argument #3 .*%(number expected, got string%)",
      raised(_thread.TypeError, add, t, "n", "1").message)
    raised(_thread.TypeError, add, t, "n")
    raised(_thread.TypeError, add, {}, "n", 1)
    raised(_thread.TypeError, add, t, nil, 1)
    raised(_thread.ValueError, add, t, 0 / 0, 1)
    raised(_thread.TypeError, add, t, {}, 1)
    assert.equal("12", t.s)
    assert.is_nil(t.n)
  end)

  it("loses nothing among many threads", function()
    all(8, function() for _ = 1, 5000 do add(t, "n", 1) end end)
    assert.equal(40000, t.n)
  end)
end)

describe("A table that one thread has had to itself", function()
  it("is right when others come and go", function()
    for round = 1, 30 do
      local t = _thread.shared {n = 0, started = 0}
      local function work(number)
        add(t, "started", 1)
        if number > 1 then repeat until t.n > round * 400 * number end
        for i = 1, number == 1 and 40000 or 200 do
          add(t, "n", 1)
          t["own" .. number] = i
          assert(t["own" .. number] == i)
        end
      end
      all(3, work)
      assert.equal(40400, t.n)
      assert.equal(40000, t.own1)
      assert.equal(200, t.own3)
    end
  end)

  it("is right when all have only read it for long, and one writes", function()
    for _ = 1, 20 do
      local t = _thread.shared {a = 0, b = 0}
      all(4, function(number)
        for i = 1, 6000 do
          local b = t.b
          assert(t.a >= b)
          if number == 1 and i % 3000 == 0 then
            add(t, "a", 1)
            add(t, "b", 1)
          end
        end
      end)
      assert.same({a = 2, b = 2}, copy(t))
    end
  end)
end)

describe("swap", function()
  it("returns what was there", function()
    local t = _thread.shared {inner = {x = 1}}
    local inner = t.inner
    assert.equal(inner, swap(t, "inner", 1))
    assert.equal(1, swap(t, "inner", ("long"):rep(100)))
    assert.equal(("long"):rep(100), swap(t, "inner", nil))
    assert.is_nil(swap(t, "inner", "last"))
    local function f() end
    assert.equal("last", swap(t, "inner", f))
    assert.equal(f, swap(t, "inner", {1}))
    assert.equal(1, swap(t, "inner", nil)[1])
    raised(_thread.TypeError, swap, t, "inner", coroutine.create(print))
    assert.is_nil(t.inner)
  end)

  it("hands each value to one thread only", function()
    local t = _thread.shared {sum = 0}
    all(4, function(number)
      for i = 1, 2000 do
        add(t, "sum", swap(t, "slot", number * 10000 + i) or 0)
      end
    end)
    local expected = 0
    for number = 1, 4 do
      for i = 1, 2000 do expected = expected + number * 10000 + i end
    end
    assert.equal(expected, t.sum + t.slot)
  end)
end)

describe("cas", function()
  local t

  before_each(function()
    t = _thread.shared()
  end)

  it("sets a field that is rawequal to what is expected", function()
    assert.is_false(cas(t, "x", 1, 2))
    assert.is_true(cas(t, "x", nil, 1))
    assert.is_false(cas(t, "x", nil, 2))
    assert.is_true(cas(t, "x", 1.0, "text"))
    assert.is_false(cas(t, "x", "other", 3))
    assert.is_true(cas(t, "x", "text", ("long"):rep(50)))
    assert.is_true(cas(t, "x", ("long"):rep(50), false))
    assert.is_true(cas(t, "x", false, 0.0))
    assert.is_true(cas(t, "x", -0.0, nil))
    assert.is_nil(t.x)
    t.x = 0 / 0
    assert.is_false(cas(t, "x", 0 / 0, 1))
  end)

  it("compares objects and functions by identity", function()
    local lock, function_ = _thread.allocate_lock(), function() end
    t.x = lock
    assert.is_false(cas(t, "x", _thread.allocate_lock(), 1))
    assert.is_true(cas(t, "x", lock, function_))
    assert.is_false(cas(t, "x", function() end, 1))
    assert.is_true(cas(t, "x", function_, print))
    assert.is_true(cas(t, "x", print, {}))
    assert.is_true(cas(t, "x", t.x, {1, 2}))
    assert.equal(2, #t.x)
    assert.is_true(start(function() return cas(t, "x", t.x, "other") end):result())
  end)

  it("refuses what can't be shared, also where the value would not have been set", function()
    raised(_thread.TypeError, cas, t, "x", 1, coroutine.create(print))
    raised(_thread.TypeError, cas, t, "x", nil, coroutine.create(print))
    raised(_thread.TypeError, cas, {}, "x", nil, 1)
    assert.is_nil(t.x)
  end)

  it("lets one of many through", function()
    t.n = 0
    all(6, function()
      for _ = 1, 1000 do
        local n
        repeat n = t.n until cas(t, "n", n, n + 1)
      end
    end)
    assert.equal(6000, t.n)
  end)
end)

describe("update", function()
  local t

  before_each(function()
    t = _thread.shared()
  end)

  it("sets a field to what the function makes of it", function()
    assert.equal(1, update(t, "n", function(n) assert(n == nil) return 1 end))
    assert.equal(2, update(t, "n", function(n) return n + 1 end))
    assert.equal("text", update(t, "n", function() return "text" end))
    assert.equal("text and more", update(t, "n", function(s) return s .. " and more" end))
    local made = update(t, "n", function() return {1, 2} end)
    assert.equal(made, t.n)
    assert.is_nil(update(t, "n", function() end))
    assert.is_nil(t.n)
  end)

  it("works on every kind of value", function()
    for _, value in ipairs {true, 0 / 0, 1.5, ("long"):rep(99), print, function() end,
      _thread.shared(setmetatable({}, {})), _thread.ValueError("no"), _thread.allocate_lock()} do
      t.x = value
      update(t, "x", function(old) assert(type(old) == type(value)) return "done" end)
      assert.equal("done", t.x)
    end
  end)

  it("begins again when another thread has written", function()
    t.n = 1
    local calls = 0
    update(t, "n", function(n)
      calls = calls + 1
      if calls == 1 then
        start(function() t.n = 10 end):result()
      end
      return n + 1
    end)
    assert.equal(11, t.n)
    assert.equal(2, calls)
  end)

  it("changes nothing when the function raises or makes what can't be shared", function()
    t.n = 1
    local ok, message = pcall(update, t, "n", function() error("mine", 0) end)
    assert.same({false, "mine"}, {ok, message})
    raised(_thread.TypeError, update, t, "n", function() return coroutine.create(print) end)
    raised(_thread.TypeError, update, t, "n", 1)
    assert.equal(1, t.n)
  end)

  it("loses nothing among many threads", function()
    all(4, function()
      for _ = 1, 1000 do
        update(t, "n", function(n) return (n or 0) + 1 end)
        update(t, "s", function(s) return #(s or "") < 50 and (s or "") .. "x" or "" end)
      end
    end)
    assert.equal(4000, t.n)
  end)
end)

describe("copy", function()
  it("makes plain tables, once each", function()
    local t = _thread.shared {1, 2, x = {y = {z = 1}}, s = ("long"):rep(50)}
    t.lock = _thread.allocate_lock()
    t.same, t.self = t.x, t
    t[t.lock] = "key"
    local plain = copy(t)
    assert.equal("table", type(plain))
    assert.equal(1, plain.x.y.z)
    assert.equal(plain.x, plain.same)
    assert.equal(plain, plain.self)
    assert.equal(t.lock, plain.lock)
    assert.equal("key", plain[t.lock])
    assert.equal(("long"):rep(50), plain.s)
    assert.equal(2, #plain)
    plain.x.y.z = 2
    assert.equal(1, t.x.y.z)
    raised(_thread.TypeError, copy, {})
  end)

  it("is of one moment", function()
    local t = _thread.shared {a = 0, b = 0}
    for i = 1, 100 do t["pad" .. i] = i end
    local gate = _thread.shared()
    local writer = start(function()
      local n = 0
      while not gate.stop do
        n = n + 1
        t.a = n
        t.b = n
      end
      return n
    end)
    repeat until t.b > 10
    for _ = 1, 2000 do
      local plain = copy(t)
      assert(plain.a == plain.b or plain.a == plain.b + 1)
    end
    gate.stop = true
    assert.is_true(writer:result() > 0)
  end)
end)
