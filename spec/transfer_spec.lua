local _thread = require "lthread"
local Point = require "fixtures.class"

local globals = load("return _G")()

local function call(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) }):result()
end

-- There and back.
local function echo(value)
  return (call(function(v) return v end, value))
end

local function refuses(text, f, ...)
  local count = _thread._count()
  local ok, e = pcall(_thread.start_new_thread, f, table.pack(...))
  assert.is_false(ok)
  assert.is_true(_thread.isinstance(e, _thread.TypeError), tostring(e))
  assert.equal(text, e.message)
  assert.equal(count, _thread._count())
end

-- Globals that a spec sets; they are gone after it.
local named = {}

local function with_global(name, value)
  named[name] = true
  globals[name] = value
end

local function nothing() end

-- A module that every thread makes for itself, and that no file holds.
local function new_module(name, load_module)
  package.preload[name] = load_module
  return require(name)
end

after_each(function()
  for name in pairs(named) do
    globals[name] = nil
    named[name] = nil
  end
  for _, modules in ipairs { package.preload, package.loaded } do
    for name in pairs(modules) do
      if name:find "^lt_spec%." then
        modules[name] = nil
      end
    end
  end
end)

describe("a plain value crosses", function()
  it("with its type", function()
    local values = table.pack(nil, true, false, 0, 1, -1, 2 ^ 53, 1.5, "", "text")
    local back = table.pack(call(function(...)
      local types = {}
      for i = 1, select("#", ...) do
        local value = select(i, ...)
        types[i] = math.type(value) or type(value)
      end
      return types, ...
    end, table.unpack(values, 1, values.n)))
    assert.equal(values.n + 1, back.n)
    for i = 1, values.n do
      assert.equal(values[i], back[i + 1])
      assert.equal(math.type(values[i]) or type(values[i]), back[1][i])
      assert.equal(math.type(values[i]), math.type(back[i + 1]))
    end
  end)

  it("bit for bit if it is a number", function()
    local numbers = { math.mininteger, math.maxinteger, 0.0, -0.0, math.huge, -math.huge, 0.1,
      5e-324, 1.7976931348623157e308, 0 / 0, -(0 / 0), string.unpack("d", "\1\2\3\0\0\0\xf8\x7f") }
    for _, number in ipairs(numbers) do
      local format = math.type(number) == "integer" and "j" or "n"
      local inside, back = call(function(n) return string.pack(format, n), n end, number)
      assert.equal(string.pack(format, number), inside)
      assert.equal(string.pack(format, number), string.pack(format, back))
      assert.equal(math.type(number), math.type(back))
    end
  end)

  it("with every byte if it is a string", function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    all = table.concat(all)
    for _, text in ipairs{ "", "\0", "a\0b\0", all, all:rep(10000) } do
      assert.is_true(echo(text) == text)
    end
  end)

  it("whole if it is a long string, once however often it is referred to", function()
    for _, length in ipairs { 4095, 4096, 4097, 1000003 } do
      local text = ("\0long\n"):rep(length // 6 + 1):sub(1, length)
      assert.is_true(text == echo(text))
      local list, at = call(function(t) return t, t[text] end, { text, [text] = text, { text } })
      assert.is_true(text == list[1] and text == list[2][1])
      assert.is_true(text == list[text] and text == at)
    end
  end)

  it("with every other string around it, if many of them repeat", function()
    local list = {}
    for i = 1, 3000 do
      list[i] = { name = "item" .. i % 97, ["key" .. i % 101] = "value", i = i }
    end
    assert.same(list, echo(list))
  end)

  it("with its address if it is a light userdata", function()
    local light = debug.upvalueid(call, 1)
    assert.equal("userdata", type(light))
    assert.equal(light, echo(light))
    assert.equal(1, echo({ [light] = 1 })[light])
  end)
end)

describe("a table crosses", function()
  it("as a copy", function()
    local t = { 1, 2, { x = "y" }, [10] = true, [1.5] = "f", [false] = 0, nested = { {} } }
    local count, back = call(function(v)
      v[1] = 99
      v.added = true
      return #v[3], v
    end, t)
    assert.equal(0, count)
    assert.same({ 99, 2, { x = "y" }, [10] = true, [1.5] = "f", [false] = 0, nested = { {} },
      added = true }, back)
    assert.equal(1, t[1])
    assert.is_nil(t.added)
  end)

  it("with holes", function()
    local back = echo({ 1, nil, 3, nil, nil, 6 })
    assert.equal(1, back[1])
    assert.is_nil(back[2])
    assert.equal(3, back[3])
    assert.equal(6, back[6])
  end)

  it("with integers in whatever order Lua keeps them", function()
    assert.same({ [0] = "zero", [1] = "one", [2] = "two" },
      echo({ [0] = "zero", [1] = "one", [2] = "two" }))
    for count = 1, 40 do
      local t = {}
      for i = count, -count, -1 do
        t[i] = -i
      end
      local back = echo(t)
      for i = -count, count do
        assert.equal(-i, back[i])
      end
      assert.equal(count, #back)
    end
  end)

  it("100,000 levels deep", function()
    local deep = {}
    for level = 1, 100000 do
      deep = { deep, level }
    end
    local back = echo(deep)
    for level = 100000, 1, -1 do
      if back[2] ~= level then
        assert.equal(level, back[2])
      end
      back = back[1]
    end
    assert.same({}, back)
  end)

  it("deep by its keys and its metatables", function()
    local deep = {}
    for _ = 1, 1000 do
      deep = setmetatable({ [deep] = true }, { __name = "level", inner = { deep } })
    end
    local levels, back = 0, echo(deep)
    while next(back) do
      local inner = getmetatable(back).inner[1]
      back = next(back)
      assert.equal(inner, back)
      levels = levels + 1
    end
    assert.equal(1000, levels)
  end)

  it("with a million entries", function()
    local t = {}
    for i = 1, 1000000 do
      t[i] = i
    end
    local sum, count = call(function(v)
      local total = 0
      for i = 1, #v do
        total = total + v[i]
      end
      return total, #v
    end, t)
    assert.equal(1000000, count)
    assert.equal(500000500000, sum)
  end)

  it("with its cycles", function()
    local a, b = {}, {}
    a.self, a.b, b.a = a, b, a
    b[b] = b
    local inside, back = call(function(v)
      return v.self == v and v.b.a == v and v.b[v.b] == v.b, v
    end, a)
    assert.is_true(inside)
    assert.equal(back, back.self)
    assert.equal(back, back.b.a)
    assert.equal(back.b, back.b[back.b])
    assert.are_not.equal(a, back)
  end)

  it("once, however often it is referred to, also by several arguments", function()
    local shared = { n = 1 }
    local same, n = call(function(list, again)
      list[1].n = 2
      return list[1] == list[2].deep and again == list[1] and list.f() == again, again.n
    end, { shared, { deep = shared }, f = function() return shared end }, shared)
    assert.is_true(same)
    assert.equal(2, n)
    assert.equal(1, shared.n)
  end)

  it("as a key", function()
    local key = { "key" }
    local found, back = call(function(k, t) return t[k], t end, key, { [key] = "value" })
    assert.equal("value", found)
    assert.same({ "key" }, (next(back)))
  end)

  it("with its metatable", function()
    local doubling = setmetatable({ 1 }, {
      __index = function(_, k) return k * 2 end,
      __len = function() return 77 end,
      __call = function(self, n) return self[1] + n end,
      __metatable = false,
    })
    assert.same({ 1, 14, 77, 6, false }, { call(function(t)
      return t[1], t[7], #t, t(5), getmetatable(t)
    end, doubling) })
  end)

  it("without having its metamethods run on the way", function()
    local trap = function() error("it ran") end
    local t = setmetatable({ a = 1 }, { __index = trap, __newindex = trap, __pairs = trap,
      __len = trap, __eq = trap, __tostring = trap })
    local a, raw = call(function(v) return v.a, rawlen(v) end, t)
    assert.equal(1, a)
    assert.equal(0, raw)
  end)

  it("with its mode if it is weak", function()
    local mode, left = call(function(t)
      collectgarbage()
      collectgarbage()
      return getmetatable(t).__mode, next(t)
    end, setmetatable({ { "nobody else has it" } }, { __mode = "v" }))
    assert.equal("v", mode)
    assert.is_nil(left)
  end)

  it("that shares a metatable with another one", function()
    local meta = { __index = { kind = "thing" } }
    local same, kind = call(function(a, b)
      return getmetatable(a) == getmetatable(b), b.kind
    end, setmetatable({}, meta), setmetatable({}, meta))
    assert.is_true(same)
    assert.equal("thing", kind)
  end)

  it("that is its own metatable", function()
    local t = { __index = function() return "own" end }
    setmetatable(t, t)
    local same, own = call(function(v) return getmetatable(v) == v, v.anything end, t)
    assert.is_true(same)
    assert.equal("own", own)
  end)

  it("that is a class with an instance of itself inside", function()
    local Class = { count = 3 }
    Class.__index = Class
    function Class:get() return self.count end
    Class.default = setmetatable({}, Class)
    Class.list = { setmetatable({ count = 9 }, Class), Class.default }
    local same, one, two, three = call(function(object)
      local class = getmetatable(object)
      return class.default == class.list[2] and getmetatable(class.list[1]) == class
        and getmetatable(class.default) == class, object:get(), class.default:get(),
        class.list[1]:get()
    end, setmetatable({ count = 5 }, Class))
    assert.is_true(same)
    assert.same({ 5, 3, 9 }, { one, two, three })
  end)
end)

describe("an object whose class is a module", function()
  it("has the receiver's own class", function()
    local same, sum = call(function(point)
      return getmetatable(point) == require("fixtures.class"), point:sum()
    end, Point.new(3, 4))
    assert.is_true(same)
    assert.equal(7, sum)
  end)

  it("comes back with the sender's class", function()
    local back = echo(Point.new(1, 2))
    assert.equal(Point, getmetatable(back))
    assert.equal(5, (back + Point.new(1, 1)):sum())
    assert.equal(Point, echo(Point))
    assert.equal(Point.origin, echo(Point.origin))
  end)

  it("works with the class as an upvalue", function()
    local x, class = call(function(point)
      local sum = point + Point.new(10, 10) + Point.origin
      return sum.x, getmetatable(sum) == Point
    end, Point.new(1, 1))
    assert.equal(11, x)
    assert.is_true(class)
  end)
end)

describe("a function crosses", function()
  it("with its upvalues, as copies", function()
    local n, list = 1, { "a" }
    local inside = call(function()
      n = n + 1
      list[2] = "b"
      return n .. table.concat(list)
    end)
    assert.equal("2ab", inside)
    assert.equal(1, n)
    assert.same({ "a" }, list)
  end)

  it("if it calls itself", function()
    local function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end
    assert.equal(3628800, (call(factorial, 10)))
  end)

  it("with the upvalues that two functions share", function()
    local count = 0
    local function add() count = count + 1 end
    local function get() return count end
    assert.equal(2, (call(function(a, g)
      a()
      a()
      return g()
    end, add, get)))
    assert.equal(0, count)
    local back_add, back_get = call(function() return add, get end)
    back_add()
    assert.equal(1, back_get())
    assert.equal(0, count)
  end)

  it("with the right one of the upvalues that it shares", function()
    local first, second, third = "first", "second", "third"
    local function set(value) third = value end
    local function get() return first, second, third end
    assert.same({ "first", "second", "changed" }, { call(function(s, g)
      s "changed"
      return g()
    end, set, get) })
    assert.same({ "first", "second", "changed" }, { call(function(g, s)
      s "changed"
      return g()
    end, get, set) })
    assert.equal("third", third)
  end)

  it("if two functions call each other", function()
    local even, odd
    function even(n) return n == 0 or odd(n - 1) end
    function odd(n) return n ~= 0 and even(n - 1) end
    assert.same({ true, false }, { call(function() return even(100), odd(100) end) })
  end)

  it("once, however often it is referred to", function()
    local function f() end
    assert.is_true((call(function(t, again) return t.a == t.b and t.a == again and t[again] end,
      { a = f, b = f, [f] = true }, f)))
  end)

  it("with the globals it names, and those that they name", function()
    with_global("lt_spec_limit", 40)
    with_global("lt_spec_add", load("local n = ... return n + lt_spec_limit"))
    with_global("lt_spec_apply", load([[
      return function(...)
        local function inner(n) return lt_spec_add(n) end
        return inner(...)
      end
    ]])())
    assert.equal(42, (call(function() return lt_spec_apply(2) end))) -- luacheck: ignore
    assert.equal(43, (call(function() -- luacheck: ignore
      return (function() return (function() return lt_spec_apply(3) end)() end)() -- luacheck: ignore
    end)))
    assert.equal(41, (call(load("return lt_spec_apply(1)"))))
    assert.equal(41, (call(load(string.dump(load("return lt_spec_apply(1)"), true)))))
  end)

  it("with copies of globals, and sets its own", function()
    with_global("lt_spec_list", { 1 })
    assert.equal(2, (call(load("lt_spec_list[2] = 2; lt_spec_new = 1; return #lt_spec_list"))))
    assert.same({ 1 }, globals.lt_spec_list)
    assert.is_nil(globals.lt_spec_new)
  end)

  it("into the globals of the thread, which it shares with all that is there", function()
    assert.same({ 1, 1 }, { call(function(set, get)
      set()
      return rawget(_G, "lt_spec_" .. "new"), get()
    end, load("lt_spec_new = 1"), load("return lt_spec_new")) })
  end)

  it("with a global that it only writes", function()
    with_global("lt_spec_flag", "before")
    assert.equal("before", (call(load([[
      local before = rawget(_G, "lt_spec" .. "_flag")
      lt_spec_flag = "after"
      return before
    ]]))))
    assert.equal("before", globals.lt_spec_flag)
  end)

  it("with globals of long names, and with many of them", function()
    local name = "lt_spec_" .. ("long_"):rep(20)
    with_global(name, "long")
    assert.equal("long", (call(load("return " .. name))))
    local code = { "local sum = 0" }
    for i = 1, 300 do
      with_global("lt_spec_" .. i, i)
      code[#code + 1] = ("sum = sum + lt_spec_%d"):format(i)
    end
    code[#code + 1] = "return sum"
    assert.equal(45150, (call(load(table.concat(code, "\n")))))
  end)

  it("with a global of the user's own that has a standard name", function()
    local warn = globals.warn
    globals.warn = function(text) return "warned of " .. text end
    finally(function() globals.warn = warn end)
    assert.equal("warned of rain", (call(load("return warn 'rain'"))))
  end)

  it("as a result, with the globals that the receiver lacks and no others", function()
    with_global("lt_spec_kept", "mine")
    with_global("lt_spec_new", nil)
    local get = call(load([[
      lt_spec_kept = "theirs"
      lt_spec_new = "new"
      return function() return lt_spec_kept, lt_spec_new end
    ]]))
    assert.same({ "mine", "new" }, { get() })
    assert.equal("mine", globals.lt_spec_kept)
  end)

  it("with a global function that calls itself", function()
    with_global("lt_spec_fib", load([[
      local n = ...
      return n < 2 and n or lt_spec_fib(n - 1) + lt_spec_fib(n - 2)
    ]]))
    assert.equal(55, (call(globals.lt_spec_fib, 10)))
  end)

  it("that the user has put into a standard table", function()
    string.trim = function(text) return (text:gsub("^%s+", ""):gsub("%s+$", "")) end -- luacheck: ignore
    finally(function() string.trim = nil end) -- luacheck: ignore
    package.loaded["lt_spec.new"] = {} -- so that the members of all modules are looked at again
    local trim = string.trim -- luacheck: ignore
    assert.equal("a b", (call(function() return trim("  a b ") end)))
    assert.equal("a b", (call(trim, "  a b ")))
  end)

  it("with a hundred and twenty upvalues", function()
    local code = {}
    for i = 1, 120 do
      code[#code + 1] = ("local v%d = %d"):format(i, i)
    end
    code[#code + 1] = "return function() return 0"
    for i = 1, 120 do
      code[#code + 1] = " + v" .. i
    end
    code[#code + 1] = " end"
    assert.equal(7260, (call(load(table.concat(code, "\n"))())))
  end)

  it("and tells where it is from in errors", function()
    local ok, message = call(function()
      local ok, e = pcall(function() error("here") end)
      return ok, e
    end)
    assert.is_false(ok)
    assert.truthy(message:find("transfer_spec.lua:%d+: here"))
  end)

  -- Which asks its environment for four names, one after the other.
  local function new_asking(index)
    return load("return { a.name, b.name, c.name, d.name }", "=code", "t",
      setmetatable({}, { __index = index }))
  end

  it("with fresh values that the __index of its environment returns", function()
    local asking = new_asking(function(_, name)
      collectgarbage()
      return { name = name }
    end)
    assert.same({ "a", "b", "c", "d" }, (call(asking)))
  end)

  it("whose environment takes away what was met before", function()
    local list = { { "gone" }, { "stays" } }
    local asking = new_asking(function(_, name)
      list[1] = nil
      collectgarbage()
      return { name = name }
    end)
    local got, names = call(function(t, f) return t, f() end, list, asking)
    assert.same({ "stays" }, got[2])
    assert.same({ "a", "b", "c", "d" }, names)
  end)

  it("as it is in the receiver, if it is one of the standard library", function()
    assert.same({ true, true, true, true }, { call(function(p, s, i, d)
      return p == pcall, s == string.format, i == io.write, d == debug.traceback
    end, pcall, string.format, io.write, debug.traceback) })
    assert.equal(string.format, echo(string.format))
    assert.equal(pcall, echo(pcall))
    assert.is_true((call(function(p) return p == print end, globals.print)))
  end)

  it("with the globals of the environment that it has got meanwhile", function()
    local f = load("return lt_spec_n", "=chunk", "t", {})
    with_global("lt_spec_n", 5)
    assert.is_nil((call(f)))
    debug.setupvalue(f, 1, globals)
    assert.equal(5, (call(f)))
  end)

  it("by address, if it is in C and without a name", function()
    local write = getmetatable(io.stdout).__index.write
    assert.equal(write, echo(write))
    assert.equal(getmetatable(io.stdout).__gc, echo(getmetatable(io.stdout).__gc))
  end)
end)

describe("a module crosses", function()
  it("by name, as an upvalue and as an argument", function()
    local str, inout, system = string, io, os
    assert.same({ true, true, true, "X" }, { call(function(arg)
      return str == string, inout == io and inout.stdout == io.stdout, system == os and arg == math,
        str.upper("x")
    end, math) })
  end)

  it("with its members, standard streams among them", function()
    assert.is_true((call(function(f, g) return f == io.stdout and g == io.stderr end, io.stdout,
      io.stderr)))
    assert.equal(io.stdout, echo({ io.stdout })[1])
    assert.equal(package.loaded, echo(package.loaded))
    assert.equal(_thread, echo(_thread))
  end)

  it("if the receiver has to load it first", function()
    local first, second = call(function()
      local before = package.loaded["fixtures.class"] == nil
      return before, _thread.start_joinable_thread(function() return Point.new(2, 3):sum() end)
        :result()
    end)
    assert.equal("boolean", type(first))
    assert.equal(5, second)
  end)

  it("with what lies deep inside of it, and with metatables that it does not show", function()
    local module = new_module("lt_spec.deep", function()
      local hidden = { __index = { kind = "hidden" } }
      return {
        inner = { inner = { f = function() end } },
        default = setmetatable({}, hidden),
        new = function() return setmetatable({}, hidden) end,
      }
    end)
    assert.same({ true, true, "hidden" }, { call(function(f, object)
      local own = require "lt_spec.deep"
      return f == own.inner.inner.f, getmetatable(object) == getmetatable(own.default), object.kind
    end, module.inner.inner.f, module.new()) })
  end)

  it("without what was its member once", function()
    local module = new_module("lt_spec.changing", function() return {} end)
    module.extra = function() return "extra" end
    local extra = module.extra
    assert.equal(module, echo(module))
    module.extra = nil
    assert.equal("extra", (call(extra)))
  end)

  it("and raises in the thread if it lacks the member there", function()
    local module = new_module("lt_spec.fuller", function() return { list = {} } end)
    module.list.extra = function() end
    _thread.set_excepthook(nothing)
    local handle = _thread.start_joinable_thread(nothing, { args = { module.list.extra } })
    local ok, e = pcall(handle.result, handle)
    _thread.set_excepthook(nil)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.RuntimeError), tostring(e))
    assert.equal("cannot receive lt_spec.fuller.list.extra: "
      .. "module 'lt_spec.fuller' has no such member in this thread", e.message)
  end)

  it("and ends the thread if it calls exit when it is loaded there", function()
    local module = new_module("lt_spec.leaving", function()
      if _thread.get_ident() ~= _thread._get_main_thread_ident() then
        _thread.exit()
      end
      return {}
    end)
    local handle = _thread.start_joinable_thread(nothing, { args = { module } })
    local ok, e = pcall(handle.result, handle)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.SystemExit), tostring(e))
  end)

  it("and raises in the thread if it can't be loaded there", function()
    package.loaded["lt_spec.missing"] = { f = function() end }
    _thread.set_excepthook(nothing)
    local handle = _thread.start_joinable_thread(nothing,
      { args = { package.loaded["lt_spec.missing"] } })
    local ok, e = pcall(handle.result, handle)
    _thread.set_excepthook(nil)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.RuntimeError), tostring(e))
    assert.truthy(e.message:find("cannot receive lt_spec.missing", 1, true), e.message)
  end)
end)

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

describe("a refusal", function()
  local co = coroutine.create(print)

  it("names the path to a coroutine", function()
    refuses("cannot transfer a coroutine (args[1])", nothing, co)
    refuses("cannot transfer a coroutine (args[2])", nothing, 1, co)
    refuses("cannot transfer a coroutine (args[1].job.co)", nothing, { job = { co = co } })
    refuses('cannot transfer a coroutine (args[1][3]["two words"])', nothing,
      { 1, 2, { ["two words"] = co } })
    refuses("cannot transfer a coroutine (args[2][7])", nothing, {}, { [7] = co })
    refuses("cannot transfer a coroutine (args[1]'s key [thread])", nothing, { [co] = 1 })
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
