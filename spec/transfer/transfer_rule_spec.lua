-- Rules in Lua: a function says how the objects of a class cross.
local _thread = require "lthread"
local queue = require "lthread.queue"
local transfers = require "support.transfers"
local threads = require "support.threads"
local call, refuses = transfers.call, transfers.refuses

transfers.clean_up()

local function nothing() end

-- A class whose objects own something. 'made' is a field that only its constructor sets.
local function new_class()
  local Point = {}
  Point.__index = Point
  Point.__gc = nothing
  function Point.new(x, y)
    return setmetatable({ x = x, y = y, made = true }, Point)
  end
  return Point
end

local function ruled_class()
  local Point = new_class()
  function Point.__transfer(p)
    return Point.new, p.x, p.y
  end
  return Point
end

describe("a rule in the field __transfer", function()
  it("makes the object anew in the receiver, and says all that crosses", function()
    local p = ruled_class().new(1, 2)
    p.secret = coroutine.create(nothing)
    local x, y, made, secret = call(function(q) return q.x, q.y, q.made, q.secret end, p)
    assert.same({ 1, 2, true }, { x, y, made })
    assert.is_nil(secret)
  end)

  it("holds for what is nested, upvalues, globals, keys, results and errors", function()
    local Point = ruled_class()
    local p = Point.new(3, 4)
    assert.equal(4, call(function(t) return t.of[1].y end, { of = { p } }))
    assert.equal(3, call(function() return p.x end))
    transfers.with_global("lt_spec_point", p)
    assert.equal(3, call(load "return lt_spec_point.x"))
    assert.equal(4, call(function(t) return next(t).y end, { [p] = true }))
    local result = call(function(make) return make(5, 6) end, Point.new)
    assert.same({ 5, 6, true }, { result.x, result.y, result.made })
    threads.quiet(finally)
    local ok, e = pcall(call, function(make) error(make(7, 8)) end, Point.new)
    assert.is_false(ok)
    assert.same({ 7, 8, true }, { e.x, e.y, e.made })
  end)

  it("holds for objects that methods have as variables", function()
    local helper = ruled_class().new(7, 8)
    local Class = {}
    Class.__index = Class
    function Class.get(self) return helper.x + self.n end
    local object = setmetatable({ n = 1 }, Class)
    for _ = 1, 3 do
      local q = queue.SimpleQueue()
      q:put(object)
      assert.equal(8, q:get():get())
      assert.equal(8, call(function(o) return o:get() end, object))
    end
  end)

  it("keeps the identity of an object within a message", function()
    local p = ruled_class().new(1, 2)
    assert.is_true(call(function(a, b, t) return a == b and a == t.p and t[a] == 1 end, p, p,
      { p = p, [p] = 1 }))
  end)

  it("is called once for a message, and the function once for each receipt", function()
    local asked = 0
    local made = _thread.shared { n = 0 }
    local class = {}
    function class.__transfer()
      asked = asked + 1
      return function() _thread.add(made, "n", 1) return setmetatable({}, class) end
    end
    local object = setmetatable({}, class)
    local q = queue.SimpleQueue()
    q:put { object, object, { object } }
    assert.equal(1, asked)
    assert.equal(0, made.n)
    q:get()
    assert.equal(1, made.n)
    local shared = _thread.shared {}
    shared.object = object
    assert.equal(1, made.n)
    for n = 2, 4 do
      assert.is_table(call(function() return shared.object and { true } end))
      assert.equal(n, made.n)
    end
  end)

  it("may return nils, many arguments, and none", function()
    local function crosses(...)
      local list = table.pack(...)
      local function make(...) return table.pack(...) end
      local object = setmetatable({}, {
        __transfer = function() return make, table.unpack(list, 1, list.n) end,
      })
      local got = call(function(t) return t end, object)
      assert.equal(list.n, got.n)
      for i = 1, list.n, math.max(1, list.n // 100) do
        assert.equal(list[i], got[i])
      end
    end
    crosses()
    crosses(nil)
    crosses(nil, 1, nil)
    local many = {}
    for i = 1, 50000 do
      many[i] = i
    end
    crosses(table.unpack(many))
  end)

  it("may return what can be called", function()
    local Point = ruled_class()
    setmetatable(Point, { __call = function(class, x, y) return class.new(x, y) end })
    function Point.__transfer(p) return Point, p.x, p.y end
    assert.equal(2, call(function(p) return p.made and p.y end, Point.new(1, 2)))
  end)

  it("may return objects with rules, of any depth", function()
    local Node = {}
    Node.__index = Node
    function Node.new(value, next_node)
      return setmetatable({ value = value, next = next_node, made = true }, Node)
    end
    function Node.__transfer(n) return Node.new, n.value, n.next end
    local list
    for i = 1, 3000 do
      list = Node.new(i, list)
    end
    assert.equal(3000, call(function(n)
      local count = 0
      while n do
        count = n.made and count + 1
        n = n.next
      end
      return count
    end, list))
  end)

  it("gets an object whose values are complete, with their metatables", function()
    local Inner = { name = "inner" }
    Inner.__index = Inner
    Inner.default = setmetatable({}, Inner) -- met before its metatable is complete
    local function make(inner)
      assert(inner.default.name == "inner" and getmetatable(inner.default) == inner)
      return { inner }
    end
    local object = setmetatable({}, { __transfer = function() return make, Inner end })
    assert.is_table(call(function(o) return o end, object))
    assert.is_table(call(function(_, o) return o end, Inner, object))
  end)

  it("is made by its class as that is at the sender, in the same class each time", function()
    local Point = new_class()
    Point.factor = 1
    function Point.scale(x) return x * Point.factor end
    function Point.new(x) return setmetatable({ x = Point.scale(x) }, Point) end
    function Point.__transfer(p) return Point.new, p.x end
    local q, back = queue.Queue(), queue.Queue()
    local handle = threads.start(function()
      local class
      while true do
        local p = q:get()
        if not p then
          return
        end
        class = class or getmetatable(p)
        back:put { p.x, getmetatable(p) == class }
      end
    end)
    local p = setmetatable({ x = 3 }, Point)
    local function arrives_as(x)
      q:put(p)
      assert.same({ x, true }, back:get(true, threads.LONG))
    end
    arrives_as(3)
    Point.factor = 10
    arrives_as(30)
    function Point.scale(x) return -x end
    arrives_as(-3)
    function Point.more(x) return x + 100 end
    function Point.new(x) return setmetatable({ x = Point.more(x) }, Point) end
    arrives_as(103)
    q:put(false)
    threads.result(handle)
  end)

  it("finds the globals that its function names", function()
    transfers.with_global("lt_spec_Point", new_class())
    load [[
      function lt_spec_Point.new(x)
        return setmetatable({ x = x, made = true }, lt_spec_Point)
      end
      function lt_spec_Point.__transfer(p) return lt_spec_Point.new, p.x end
    ]]()
    local p = transfers.globals.lt_spec_Point.new(9)
    assert.equal(9, call(function(q) return q.made and q.x end, p))
    transfers.with_global("lt_spec_p", p)
    assert.equal(9, call(load "return lt_spec_p.made and lt_spec_Point and lt_spec_p.x"))
    assert.equal(9, call(load "return lt_spec_Point and lt_spec_p.made and lt_spec_p.x"))
  end)

  it("is in the metatable itself, as any metamethod: none is inherited", function()
    local Base = ruled_class()
    Base.__gc = nil
    local Derived = setmetatable({}, Base)
    Derived.__index = Derived
    assert.is_true(call(function(o) return o.plain end, setmetatable({ plain = true }, Derived)))
  end)

  it("may be false", function()
    assert.equal(1, call(function(o) return o.x end,
      setmetatable({ x = 1 }, { __transfer = false })))
  end)
end)

describe("register_transfer", function()
  it("gives a rule to a class, also one that is the __index of the metatable", function()
    local Point = new_class()
    _thread.register_transfer(Point, function(p) return Point.new, p.x, p.y end)
    assert.equal(2, call(function(p) return p.made and p.y end, Point.new(1, 2)))
    local Class = { get = function(self) return self.value end }
    local function make(value) return setmetatable({ value = value }, { __index = Class }) end
    _thread.register_transfer(Class, function(object) return make, object.value + 1 end)
    assert.equal(6, call(function(o) return o:get() end, make(5)))
  end)

  it("gives a rule to a class that has the metatable in a field", function()
    for _, field in ipairs { "__instanceDict", "__base" } do
      local objects = { __gc = nothing }
      objects.__index = objects
      local Class = setmetatable({ [field] = objects }, {
        __call = function(_, x) return setmetatable({ x = x, made = true }, objects) end,
      })
      local function rule(object) return Class, object.x end
      assert.equal(Class, _thread.register_transfer(Class, rule))
      assert.equal(5, call(function(o) return o.made and o.x end, Class(5)))
      assert.equal(Class, _thread.register_transfer(Class, nil))
      assert.is_false(pcall(call, nothing, Class(5)))
    end
  end)

  it("comes before __transfer, and nil takes it away", function()
    local Point = ruled_class()
    _thread.register_transfer(Point, function(p) return Point.new, p.x * 10, p.y end)
    assert.equal(10, call(function(p) return p.x end, Point.new(1, 2)))
    _thread.register_transfer(Point, nil)
    assert.equal(1, call(function(p) return p.x end, Point.new(1, 2)))
    local Owner = new_class()
    _thread.register_transfer(Owner, function(p) return Owner.new, p.x end)
    assert.equal(1, call(function(p) return p.x end, Owner.new(1)))
    _thread.register_transfer(Owner, nil)
    assert.is_false(pcall(call, nothing, Owner.new(1)))
  end)

  it("goes along, so that the receiver can send the object on", function()
    local Point = new_class()
    _thread.register_transfer(Point, function(p) return Point.new, p.x, p.y end)
    local p = call(function(p)
      local q = require "lthread.queue".SimpleQueue()
      q:put(p)
      return q:get()
    end, Point.new(1, 2))
    assert.same({ 1, 2, true }, { p.x, p.y, p.made })
  end)

  it("does not take the place of the receiver's own rule", function()
    transfers.new_module("lt_spec.points", function()
      local Point = { from = _G.lt_spec_here or "thread" }
      Point.__index = Point
      Point.__gc = function() end
      function Point.new(path) return setmetatable({ path = path }, Point) end
      require "lthread".register_transfer(Point, function(p)
        return Point.new, p.path .. " by " .. Point.from
      end)
      return Point
    end)
    local p = call(function(p) return p end, require "lt_spec.points".new "main")
    assert.matches("^main by %a+ by thread$", p.path)
  end)

  it("gives a rule to userdata", function()
    local metatable = getmetatable(io.stdout)
    local function make(text)
      local file = io.tmpfile()
      file:write(text)
      return file
    end
    local function rule(file)
      file:seek "set"
      return make, file:read "a"
    end
    local file <close> = make "some text"
    finally(function() _thread.register_transfer(metatable, nil) end)
    assert.is_false(pcall(call, nothing, file))
    _thread.register_transfer(metatable, rule)
    local same, text, back <close> = call(function(a, b)
      a:seek "set"
      return a == b and io.type(a), a:read "a", a
    end, file, file)
    assert.same({ "file", "some text" }, { same, text })
    back:seek "set"
    assert.equal("some text", back:read "a")
    _thread.register_transfer(metatable, nil)
    metatable.__transfer = rule
    finally(function() metatable.__transfer = nil end)
    assert.equal("file", call(function(a) return io.type(a) end, file))
  end)

  it("goes along, so it must be able to", function()
    local Point = new_class()
    local names = setmetatable({}, { __mode = "k" })
    _thread.register_transfer(Point, function(p) return Point.new, names[p] end)
    local p = Point.new()
    names[p] = "p"
    threads.raises(_thread.ValueError, "leads back to the object it is for (args[1]'s transfer "
      .. "rule's upvalue names's key [table]", call, nothing, p)
    _thread.register_transfer(Point, nil)
    function Point.__transfer(object) return Point.new, rawget(names, object) end
    names[p] = nil
    assert.is_true(call(function(o) return o.made end, p))
  end)

  it("raises TypeError for what is no class or no rule", function()
    threads.raises(_thread.TypeError, "bad argument #1 to 'register_transfer'",
      _thread.register_transfer, "Point", nothing)
    threads.raises(_thread.TypeError, "bad argument #1 to 'register_transfer'",
      _thread.register_transfer)
    threads.raises(_thread.TypeError, "bad argument #2 to 'register_transfer'",
      _thread.register_transfer, {}, "f")
    threads.raises(_thread.TypeError, "bad argument #2 to 'register_transfer'",
      _thread.register_transfer, {})
    threads.raises(_thread.TypeError, "", _thread.register_transfer, {}, nothing, 1)
  end)

  it("keeps no class alive", function()
    local weak = setmetatable({}, { __mode = "k" })
    local function register()
      local Point = new_class()
      weak[Point] = true
      _thread.register_transfer(Point, function(p) return Point.new, p.x end)
    end
    register()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)

describe("a rule that is wrong", function()
  local function object_with(rule)
    return { p = setmetatable({}, { __name = "Point", __transfer = rule }) }
  end

  it("raises TypeError when it returns no function", function()
    local function returns(type_name, ...)
      local list = table.pack(...)
      refuses("cannot transfer a Point table (args[1].p); its transfer rule returned " .. type_name
        .. ", not a function and its arguments", nothing,
        object_with(function() return table.unpack(list, 1, list.n) end))
    end
    returns("no value")
    returns("nil", nil)
    returns("number", 5)
    returns("table", {})
  end)

  it("raises TypeError when it is none", function()
    refuses("cannot transfer a Point table (args[1].p); its __transfer is a value of type number, "
      .. "not a function", nothing, object_with(7))
  end)

  it("lets its error pass as it is", function()
    local reason = {}
    local ok, e = pcall(call, nothing, object_with(function() error(reason) end))
    assert.is_false(ok)
    assert.equal(reason, e)
  end)

  it("names the path to what can't cross of what it returns", function()
    local co = coroutine.create(nothing)
    refuses("cannot transfer a coroutine (args[1].p's transfer argument 2.co)", nothing,
      object_with(function() return nothing, 1, { co = co } end))
    refuses("cannot transfer a coroutine (args[1].p's transfer function's upvalue co)", nothing,
      object_with(function() return function() return co end end))
    local class = {}
    _thread.register_transfer(class, function() return co and nothing end)
    refuses("cannot transfer a coroutine (args[1]'s transfer rule's upvalue co)", nothing,
      setmetatable({}, class))
  end)

  it("raises ValueError where the object is needed to make it", function()
    local text = "cannot transfer a value that leads back to the object it is for ("
    local Node = {}
    Node.__index = Node
    local function make(value) return setmetatable({ value = value }, Node) end
    function Node.__transfer(n) return make, n.value end
    local function leads_back(path, ...)
      threads.raises(_thread.ValueError, text .. path .. ")", call, nothing, ...)
    end
    local node = make()
    node.value = node
    leads_back("args[1]'s transfer argument 1", node)
    node.value = { node }
    leads_back("args[1]'s transfer argument 1[1]", node)
    local list = { node }
    node.value = list
    leads_back("args[1][1]'s transfer argument 1", list)
    local other = { list }
    list[1], list[2], node.value = other, node, other
    leads_back("args[1][2]'s transfer argument 1", list)
    node.value = make(make(node))
    leads_back("args[1]'s transfer argument 1's transfer argument 1's transfer argument 1", node)
  end)

  it("ends also where it makes new objects without end", function()
    local Endless = {}
    local function make() end
    function Endless.__transfer() return make, setmetatable({}, Endless) end
    threads.raises(_thread.TypeError, "levels deep", call, nothing, setmetatable({}, Endless))
  end)

  it("leaves everything as it was", function()
    local q = queue.Queue()
    local class = {}
    function class.__transfer(o) return o.make end
    threads.raises(_thread.TypeError, "", q.put, q, { setmetatable({}, class) })
    assert.is_true(q:empty())
    assert.equal(0, q.unfinished_tasks or 0)
  end)

  it("may be followed again when the message before was refused", function()
    local asked = 0
    local class = {}
    function class.__transfer(o) asked = asked + 1 return o.make, o.co end
    local object = setmetatable({ co = coroutine.create(nothing) }, class)
    function object.make() return "made" end
    assert.is_false(pcall(call, nothing, object))
    object.co = nil
    assert.equal("made", call(function(o) return o end, object))
    assert.equal(2, asked)
  end)
end)

describe("a rule that waits", function()
  it("is interrupted, and nothing has been put", function()
    local q = queue.Queue()
    local begun, never = threads.held(), threads.held()
    local handle = threads.start(function()
      local class = { __transfer = function()
        begun:release()
        never:acquire()
        return print
      end }
      q:put(setmetatable({}, class))
    end)
    threads.quiet(finally)
    assert.is_true(threads.await(begun))
    assert.is_true(threads.await_blocked(handle.ident))
    handle:interrupt(_thread.KeyboardInterrupt)
    threads.ended_by(_thread.KeyboardInterrupt, handle)
    assert.is_true(q:empty())
  end)
end)

describe("a function that a rule has returned", function()
  local function failing(make)
    return setmetatable({}, { __transfer = function() return make end })
  end

  it("raises in the receiver, and the message is counted as done", function()
    local q = queue.Queue()
    local class = _thread.ValueError
    q:put(failing(function() error(class "not here") end))
    q:put "next"
    threads.raises(_thread.ValueError, "not here", q.get, q)
    assert.equal("next", q:get())
    q:task_done()
    assert.is_true(threads.await((function()
      local done = threads.held()
      threads.start(function() q:join() done:release() end)
      return done
    end)()))
  end)

  it("raises RuntimeError where it makes nothing, with its reason", function()
    threads.quiet(finally)
    threads.raises(_thread.RuntimeError, "has made no object", call, nothing, failing(nothing))
    threads.raises(_thread.RuntimeError, "has made no object: no such thing", call, nothing,
      failing(function() return nil, "no such thing" end))
    assert.is_false(call(function(v) return v end, failing(function() return false end)))
  end)

  it("may send and receive itself", function()
    local function make()
      local q = require "lthread.queue".SimpleQueue()
      q:put { 1, { 2 } }
      return q:get()
    end
    assert.equal(2, call(function(t) return t[2][2][1] end, { 1, failing(make), 3 }))
  end)

  it("may drop what it comes from", function()
    local shared = _thread.shared {}
    local function make()
      shared.object = nil
      collectgarbage()
      return { 7 }
    end
    shared.object = { 1, failing(make), ("x"):rep(100) }
    shared.object[2] = failing(make)
    assert.equal(7, shared.object[2][1])
  end)
end)

describe("many rules at once", function()
  it("are followed in many threads", function()
    local Point = ruled_class()
    local q = queue.Queue(10)
    local handles = {}
    for i = 1, 4 do
      handles[i] = threads.start(function()
        local sum = 0
        for _ = 1, 200 do
          local p = q:get()
          sum = sum + (p.made and p.x or 0)
        end
        return sum
      end)
    end
    local senders = {}
    for i = 1, 2 do
      senders[i] = threads.start(function(class)
        for n = 1, 400 do
          q:put(class.new(n, i))
        end
      end, Point)
    end
    local sum = 0
    for i = 1, 4 do
      sum = sum + threads.result(handles[i])
    end
    assert.equal(2 * 400 * 401 // 2, sum)
    for i = 1, 2 do
      threads.result(senders[i])
    end
  end)
end)
