-- Shared tables as tables: what a script does with a plain one.
local _thread = require "lthread"
local raised = require "support.raised"

local function start(f, ...)
  return _thread.start_joinable_thread(f, {args = table.pack(...)})
end

local function set(t, key, value)
  t[key] = value
end

local function fields_of(t)
  local fields = {}
  for key, value in pairs(t) do
    assert(fields[key] == nil)
    fields[key] = value
  end
  return fields
end

describe("A shared table", function()
  local t

  before_each(function()
    t = _thread.shared()
  end)

  it("is empty at first, and of a type of its own", function()
    assert.same({}, fields_of(t))
    assert.equal(0, #t)
    assert.equal("userdata", type(t))
    assert.is_true(_thread.isinstance(t, _thread.shared))
    assert.is_false(_thread.isinstance({}, _thread.shared))
    assert.matches("^<_thread%.shared object at 0?x?%x+>$", tostring(t))
  end)

  it("keeps values of every kind that needs no copy", function()
    local values = {true, false, 0, -1, math.maxinteger, math.mininteger, 0.5, -0.0, math.huge,
      "", "short", ("long"):rep(1000), "zero\0within", 1e100}
    for i, value in ipairs(values) do
      t.field = value
      assert.equal(value, t.field)
      assert.equal(math.type(value), math.type(t.field))
      t[i] = value
    end
    for i, value in ipairs(values) do
      assert.equal(value, t[i])
    end
    t.field = 0 / 0
    assert.is_true(t.field ~= t.field)
    t.field = nil
    assert.is_nil(t.field)
  end)

  it("takes strings, integers, floats, booleans and shared objects as keys", function()
    local lock, other = _thread.allocate_lock(), _thread.shared()
    local keys = {"name", "", ("key"):rep(100), 1, 0, -5, math.maxinteger, math.mininteger, 0.5,
      -math.huge, 2 ^ 53 + 0.0, true, false, lock, other, _thread.ValueError, t}
    for i, key in ipairs(keys) do
      t[key] = i
    end
    for i, key in ipairs(keys) do
      assert.equal(i, t[key])
    end
    assert.equal(#keys, #(function(list)
      for key in pairs(t) do list[#list + 1] = key end
      return list
    end)({}))
    for _, key in ipairs(keys) do
      t[key] = nil
      assert.is_nil(t[key])
    end
    assert.same({}, fields_of(t))
  end)

  it("takes a float with an integer's value for that integer, as Lua does", function()
    t[2.0] = "two"
    assert.equal("two", t[2])
    t[2 ^ 53] = "large"
    assert.equal("large", t[2 ^ 53 | 0])
    t[1] = "one"
    assert.equal(2, #t)
    for key in pairs(t) do
      assert.equal("integer", math.type(key))
    end
    t[-0.0] = "zero"
    assert.equal("zero", t[0])
  end)

  it("tells the string of a number from the number", function()
    t[1], t["1"] = "integer", "string"
    assert.equal("integer", t[1])
    assert.equal("string", t["1"])
  end)

  it("refuses nil and NaN as keys, and what has no identity across threads", function()
    assert.matches("index is nil", raised(_thread.TypeError, set, t, nil, 1).message)
    assert.matches("index is NaN", raised(_thread.ValueError, set, t, 0 / 0, 1).message)
    assert.matches("a table cannot be a key", raised(_thread.TypeError, set, t, {}, 1).message)
    assert.matches("a function cannot be a key",
      raised(_thread.TypeError, set, t, print, 1).message)
    assert.is_nil(t[nil])
    assert.is_nil(t[0 / 0])
    assert.is_nil(t[{}])
    assert.same({}, fields_of(t))
  end)

  it("is read and written by no other userdata's hands", function()
    local index = getmetatable(t).__index
    for _, wrong in ipairs {1, "t", {}, io.stdout, _thread.allocate_lock()} do
      raised(_thread.TypeError, index, wrong, "x")
    end
    raised(_thread.TypeError, index)
  end)

  it("has a border for its length, however it is filled", function()
    for i = 1, 100 do t[i] = i assert.equal(i, #t) end
    for i = 100, 51, -1 do t[i] = nil assert.equal(i - 1, #t) end
    for i = 1000, 51, -1 do t[i] = i end
    assert.equal(1000, #t)
    t[1000] = nil
    assert.equal(999, #t)
    t[500] = nil
    t[999] = nil
    local border = #t
    assert.is_true(t[border] ~= nil and t[border + 1] == nil)
    for i = 1, 1000 do t[i] = nil end
    assert.equal(0, #t)
  end)

  it("is a queue of bounded size when it is used up from its beginning", function()
    local before = _thread.shared_memory()
    local most = 0
    for i = 1, 200000 do
      t[i] = i
      if i > 100 then t[i - 100] = nil end
      most = math.max(most, _thread.shared_memory() - before)
    end
    assert.is_true(most < 100000, most)
    for i = 200000 - 99, 200000 do assert.equal(i, t[i]) end
    assert.is_nil(t[200000 - 100])
    assert.same(100, #(function(list)
      for key in pairs(t) do list[#list + 1] = key end
      return list
    end)({}))
  end)

  it("does all that a model of plain Lua does", function()
    local seed = 42
    local function random(n)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % n
    end
    local model = {}
    for _ = 1, 50000 do
      local key = random(60)
      if random(3) == 0 then key = "k" .. key end
      local value = random(3) > 0 and random(1000) or nil
      if random(500) == 0 then
        for k in pairs(fields_of(t)) do t[k] = nil model[k] = nil end
      end
      t[key], model[key] = value, value
      local probe = random(60)
      assert(t[probe] == model[probe])
      local border = #t
      assert(border == 0 or t[border] ~= nil)
      assert(t[border + 1] == nil)
    end
    assert.same(model, fields_of(t))
    assert.same(model, _thread.copy(t))
  end)

  it("works with the functions of the table library", function()
    for _, value in ipairs {5, 3, 8, 1} do table.insert(t, value) end
    table.insert(t, 1, 9)
    assert.equal("9,5,3,8,1", table.concat(t, ","))
    table.sort(t)
    assert.same({1, 3, 5, 8, 9}, {table.unpack(t)})
    assert.equal(1, table.remove(t, 1))
    assert.equal(9, table.remove(t))
    assert.same({3, 5, 8}, {table.unpack(t)})
    table.move(t, 1, 3, 3)
    assert.same({3, 5, 3, 5, 8}, _thread.copy(t))
    assert.same({3, 5, 3, 5, 8}, table.move(t, 1, #t, 1, {}))
    local list = {}
    for i, value in ipairs(t) do list[i] = value end
    assert.same({3, 5, 3, 5, 8}, list)
  end)

  it("can be walked through while fields are removed and changed", function()
    for i = 1, 50 do t[i], t["k" .. i] = i, i end
    local seen = {}
    for key, value in pairs(t) do
      assert.is_nil(seen[key])
      seen[key] = value
      t[key] = value % 2 == 0 and value + 1000 or nil
    end
    for i = 1, 50 do
      assert.equal(i, seen[i])
      assert.equal(i, seen["k" .. i])
      assert.equal(i % 2 == 0 and i + 1000 or nil, t[i])
    end
  end)

  it("does not end a walk by what is added in it", function()
    for i = 1, 10 do t["k" .. i] = i end
    local count = 0
    for key, value in pairs(t) do
      count = count + 1
      t[key .. "x"] = value
      t[#t + 1] = value
      t[key] = nil
      t[key] = value
    end
    assert.is_true(count >= 10 and count <= 30, count)
  end)

  it("has the same order in every walk while nobody writes", function()
    for i = 1, 100 do t["k" .. i * 7 % 101] = i end
    local function order()
      local keys = {}
      for key in pairs(t) do keys[#keys + 1] = key end
      return keys
    end
    assert.same(order(), order())
    assert.same(order(), start(order):result())
  end)

  it("is one and the same in every thread", function()
    t.number = 1
    local thread = start(function(shared)
      shared.number = shared.number + 1
      shared.list = {1, 2, {3}}
      return shared == t, shared
    end, t)
    local same, shared = thread:result()
    assert.is_true(same)
    assert.equal(t, shared)
    assert.equal(2, t.number)
    assert.equal(3, t.list[3][1])
  end)

  it("lets many write, walk and count at once", function()
    local function work(number)
      for i = 1, 3000 do
        local key = (i * 7 + number) % 50
        t[key] = i
        t["k" .. key] = ("value"):rep(key)
        t[key + 1] = nil
        if i % 50 == 0 then
          for k, v in pairs(t) do
            assert(k ~= nil and v ~= nil)
            if type(v) == "string" then assert(v == ("value"):rep(#v // 5)) end
          end
          assert(#t >= 0)
          _thread.copy(t)
        end
      end
    end
    local threads = {}
    for i = 1, 4 do threads[i] = start(work, i) end
    for i = 1, 4 do threads[i]:result() end
    for i = 0, 49 do
      local value = t["k" .. i]
      assert.is_true(value == nil or value == ("value"):rep(i))
    end
  end)
end)

describe("What is stored in a shared table", function()
  local t

  before_each(function()
    t = _thread.shared()
  end)

  it("becomes a shared table if it is a plain one, with all that is in it", function()
    local leaf = {"leaf"}
    local root = {a = {b = {c = leaf}}, same = leaf, list = {1, 2, 3, {4}}}
    root.self = root
    root.a.up = root
    t.root = root
    assert.equal("userdata", type(t.root))
    assert.equal("leaf", t.root.a.b.c[1])
    assert.equal(t.root.same, t.root.a.b.c)
    assert.equal(t.root, t.root.self)
    assert.equal(t.root, t.root.a.up)
    assert.equal(4, t.root.list[4][1])
    leaf[1] = "changed"
    assert.equal("leaf", t.root.same[1])
    t.root.same[1] = "changed in the shared one"
    assert.equal("changed in the shared one", t.root.a.b.c[1])
  end)

  it("may be nested as deeply as memory allows", function()
    local chain = {}
    for _ = 1, 200000 do chain = {chain} end
    t.chain = chain
    local depth, node = 0, t.chain
    while node[1] do
      depth = depth + 1
      node = node[1]
    end
    assert.equal(200000, depth)
  end)

  it("makes a shared table of a plain one at once by shared()", function()
    local made = _thread.shared {x = 1, list = {1, 2}}
    assert.equal(1, made.x)
    assert.equal(2, #made.list)
    assert.equal(made, _thread.shared(made))
    raised(_thread.TypeError, _thread.shared, 1)
  end)

  it("is the same object at every read", function()
    t.lock, t.class, t.inner = _thread.allocate_lock(), _thread.ValueError, {}
    assert.equal(t.lock, t.lock)
    assert.equal(t.inner, t.inner)
    assert.equal(_thread.ValueError, t.class)
    t.lock:acquire()
    assert.is_true(start(function() return t.lock:locked() end):result())
    t.lock:release()
  end)

  it("is refused as a whole when a part of it can't cross", function()
    t.kept = "before"
    local bad = {fine = 1, job = {co = coroutine.create(print)}}
    local exception = raised(_thread.TypeError, set, t, "kept", bad)
    assert.matches("cannot transfer a coroutine %(value%.job%.co%)", exception.message)
    assert.matches("^spec/shared/shared_table_spec%.lua:%d+: TypeError: cannot",
      tostring(exception))
    assert.equal("before", t.kept)
    exception = raised(_thread.TypeError, set, t, "kept", {list = {{[{}] = 1}}})
    assert.matches("a table cannot be a key of a shared table %(in value%.list%[1%]%)",
      exception.message)
    exception = raised(_thread.TypeError, set, t, "kept", coroutine.create(print))
    assert.matches("cannot transfer a coroutine %(value%)", exception.message)
    exception = raised(_thread.TypeError, set, t, "kept", {f = function() return bad end})
    assert.matches("value%.f's upvalue bad%.job%.co", exception.message)
    assert.equal("before", t.kept)
    assert.same({kept = "before"}, fields_of(t))
  end)

  it("is a copy for each read if it is an exception", function()
    t.exception = _thread.ValueError("no")
    assert.equal("no", t.exception.message)
    assert.not_equal(t.exception, t.exception)
    assert.is_true(_thread.isinstance(t.exception, _thread.ValueError))
  end)

  it("is found by its name if a module has it", function()
    t.format, t.string, t.out = string.format, string, io.stdout
    assert.equal(string.format, t.format)
    assert.equal(string, t.string)
    assert.equal(io.stdout, t.out)
    assert.same({true, true, true}, {start(function()
      return t.format == string.format, t.string == string, t.out == io.stdout
    end):result()})
  end)
end)

describe("A function in a shared table", function()
  local t

  before_each(function()
    t = _thread.shared()
  end)

  it("is itself for the thread that stored it", function()
    local function f() return 1 end
    t.f, t.g = f, f
    assert.equal(f, t.f)
    assert.equal(f, t.g)
    f = nil -- luacheck: ignore
    collectgarbage()
    assert.equal(t.f, t.g)
  end)

  it("is one function of its own for each other thread", function()
    local calls = 0
    t.f = function()
      calls = calls + 1
      return calls
    end
    t.f()
    local function work()
      local f = t.f
      f()
      f = nil -- luacheck: ignore
      collectgarbage()
      t.g = t.f
      return t.f == t.f, t.g == t.f, t.f()
    end
    assert.same({true, true, 2}, {start(work):result()})
    assert.same({true, true, 2}, {start(work):result()})
    assert.equal(2, t.f())
    assert.equal(t.f, t.g)
  end)

  it("gives way to the one that takes its place", function()
    local result = start(function()
      t.f = function() return "first" end
      local first = t.f()
      start(function() t.f = function() return "second" end end):result()
      local second = t.f()
      t.f = nil
      return first, second, t.f
    end)
    assert.same({"first", "second"}, {result:result()})
  end)

  it("is freed when it is replaced", function()
    local function work()
      for i = 1, 50 do t["f" .. i % 5] = function() return i end end
      for i = 0, 4 do t["f" .. i] = nil end
      collectgarbage()
      collectgarbage()
      return _thread.shared_memory()
    end
    local first = work()
    for _ = 1, 20 do
      assert.is_true(work() <= first + 2000)
    end
  end)

  it("may fail to be received, which hurts only the one who receives it", function()
    local main = _thread.get_ident()
    package.preload["only.here"] = function()
      return _thread.get_ident() == main and {f = function() return 1 end} or error "not here"
    end
    t.f = require "only.here".f
    t.after = "fine"
    assert.equal(1, t.f())
    assert.same({false, "fine"}, {start(function()
      return pcall(function() return t.f end) == true, t.after
    end):result()})
    package.loaded["only.here"], package.preload["only.here"] = nil, nil
    assert.equal("fine", t.after)
  end)
end)
