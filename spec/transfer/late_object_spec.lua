-- Objects with a rule that are held by what makes them, such as the constants of a class.
local _thread = require "lthread"
local kinds = require "support.class_kinds"
local new_server = require "support.server"
local transfers = require "support.transfers"
local call, echo = transfers.call, transfers.echo

transfers.clean_up()

local function new_class()
  local Point = {}
  Point.__index = Point
  function Point.new(x) return setmetatable({ x = x }, Point) end
  function Point.__transfer(p) return Point.new, p.x end
  return Point
end

for name, make in pairs(kinds) do
  describe("constants of " .. name, function()
    it("arrive with each object of it, and are of it", function()
      local Base, Derived, new, is_a = make()
      for _, class in ipairs { Base, Derived } do
        _thread.register_transfer(class, function(o) return new, class, o.n end)
        rawset(class, "zero", new(class, 0))
        rawset(class, "list", { new(class, 1), inner = { new(Base, 2) } })
      end
      local function look(of_base, of_derived, class)
        return is_a(of_base, Base) and is_a(of_derived, Derived) and is_a(class.zero, Derived)
            and is_a(class.list[1], Derived) and is_a(class.list.inner[1], Base),
          class.zero.n, class.list[1].n, class.list.inner[1].n, class == Derived
      end
      for _ = 1, 2 do
        assert.same({ true, 0, 1, 2, true },
          { call(look, new(Base, 5), new(Derived, 6), Derived) })
        assert.same({ true, 0, 1, 2, true },
          { call(look, Base.zero or new(Base, 0), rawget(Derived, "zero"), Derived) })
      end
      assert.is_true(is_a(echo(new(Derived, 3)), Derived))
      assert.equal(3, echo(new(Derived, 3)).n)
    end)
  end)
end

describe("the constant of a class", function()
  it("is there for messages one by one, as the class is now", function()
    local Point = new_class()
    Point.zero = Point.new(0)
    local first
    local server = new_server(function(p)
      local class = getmetatable(p)
      first = first or class
      return p, class == first, class.zero and class.zero.x, class.one and class.one.x,
        class.zero and getmetatable(class.zero) == class
    end)
    local function answer(p)
      local back, same, zero, one, is_of_class = server.ask(p)
      assert.equal(Point, getmetatable(back))
      assert.is_true(same)
      assert.equal(p.x, back.x)
      return zero, one, is_of_class
    end
    for i = 1, 3 do assert.same({ 0, nil, true }, { answer(Point.new(i)) }) end
    assert.same({ 0, nil, true }, { answer(Point.zero) })
    Point.limit = 5
    assert.same({ 0, nil, true }, { answer(Point.new(4)) })
    Point.zero, Point.one = nil, Point.new(1)
    assert.same({ nil, 1 }, { answer(Point.new(5)) })
    Point.zero = Point.new(10)
    assert.same({ 10, 1, true }, { answer(Point.zero) })
    server.stop()
  end)

  it("stays as the thread has set it", function()
    local Point = new_class()
    Point.zero = Point.new(0)
    local server = new_server(function(p)
      local class = getmetatable(p)
      local zero = class.zero
      class.zero = "set"
      return zero == "set" or zero.x
    end)
    assert.equal(0, server.ask(Point.new(1)))
    assert.is_true(server.ask(Point.new(2)))
    Point.limit = 5
    assert.is_true(server.ask(Point.new(3)))
    server.stop()
  end)

  it("may be a variable of its methods, which is the same one everywhere", function()
    local Point = new_class()
    local origin = Point.new(0)
    function Point.is_origin(p) return p == origin, origin.x end
    function Point.origin() return origin end
    local function look(p) return p.x, p.origin() == p, p:is_origin() end
    for _ = 1, 2 do
      assert.same({ 3, false, false, 0 }, { call(look, Point.new(3)) })
      assert.same({ 0, true, true, 0 }, { call(look, origin) })
    end
    local get = call(function(p) return p.origin end, origin)
    assert.equal(Point, getmetatable(get()))
  end)

  it("may be in a table of functions, whatever comes first", function()
    local methods = {}
    local metatable = { __index = methods }
    function methods.new(x) return setmetatable({ x = x }, metatable) end
    function metatable.__transfer(p) return methods.new, p.x end
    methods.zero, methods.list = methods.new(0), { one = methods.new(1) }
    for _, value in ipairs { methods, methods.new(2), methods.zero, { methods.new(3) } } do
      local got = echo(value)
      local found = got.new and got or got[1] or got
      assert.same({ 0, 1 }, { found.zero.x, found.list.one.x })
    end
    assert.equal(metatable, getmetatable(echo(metatable.__index.zero)))
  end)

  it("is there when another object is made", function()
    local Point = new_class()
    Point.zero = Point.new(0)
    local function add(x) return Point.new(Point.zero.x + x) end
    function Point.__transfer(p)
      if p == Point.zero then return Point.new, p.x end
      return add, p.x
    end
    assert.equal(7, call(function(p) return p.x end, Point.new(7)))
    local first, second = call(function(a, b) return a.x, b.x end, Point.new(7), Point.new(8))
    assert.same({ 7, 8 }, { first, second })
  end)

  it("may be of another class, that has one in its turn", function()
    local A, B = new_class(), new_class()
    A.b, B.a = B.new(1), A.new(2)
    local function look(a, b)
      local class_a, class_b = getmetatable(a), getmetatable(b)
      return class_a.b.x, class_b.a.x, getmetatable(class_a.b) == class_b,
        getmetatable(class_b.a) == class_a
    end
    assert.same({ 1, 2, true, true }, { call(look, A.new(0), B.new(0)) })
    assert.same({ 1, 2, true, true }, { call(look, B.a, A.b) })
  end)
end)

describe("an object that its own rule needs", function()
  it("is put into the function that leads back to it", function()
    local Node = {}
    local function make(value) return setmetatable({ value = value }, Node) end
    function Node.__transfer(n) return make, n.value end
    local node = make()
    node.value = function() return node end
    assert.is_true(call(function(n) return n.value() == n end, node))
    assert.is_true(call(function() return node.value() == node end))
  end)
end)
