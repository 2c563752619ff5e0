-- Classes keep their identity: a thread has one of each, and what comes home is the original.
local _thread = require "lthread"
local queue = require "lthread.queue"
local kinds = require "support.class_kinds"
local new_server = require "support.server"
local transfers = require "support.transfers"
local call, echo = transfers.call, transfers.echo

transfers.clean_up()

local LONG = 300

-- A class whose methods are of the spec's file, and a function that makes objects.
local function new_class()
  local Class = { limit = 1 }
  Class.__index = Class
  function Class.get(self) return self.n end
  function Class.new(n) return setmetatable({ n = n }, Class) end
  return Class
end

-- The shared memory when all that is garbage is gone, also what others have left.
local function settled()
  local now, last = _thread.shared_memory(), nil
  while now ~= last do
    last = now
    for _ = 1, 4 do collectgarbage() end
    _thread.collect()
    now = _thread.shared_memory()
  end
  return now
end

for name, make in pairs(kinds) do
  describe(name, function()
    local Base, Derived, new, is_a

    before_each(function()
      Base, Derived, new, is_a = make()
    end)

    it("is the original in what comes home", function()
      local base, derived = echo(new(Base, 1)), echo(new(Derived, 2))
      assert.is_true(is_a(base, Base))
      assert.is_false(is_a(base, Derived))
      assert.is_true(is_a(derived, Derived))
      assert.is_true(is_a(derived, Base))
      assert.equal(1, base:get())
      assert.equal(2, derived:get())
    end)

    it("is one in a thread that gets objects one by one", function()
      local q, results = queue.SimpleQueue(), queue.SimpleQueue()
      local handle = _thread.start_joinable_thread(function()
        local metatables = {}
        local count, sum = 0, 0
        for _ = 1, 100 do
          local object = q:get(true, LONG)
          local metatable = getmetatable(object)
          count = count + (metatables[metatable] and 0 or 1)
          metatables[metatable] = true
          sum = sum + object:get()
        end
        results:put { count, sum }
      end)
      for i = 1, 100 do q:put(new(i % 2 == 0 and Base or Derived, i)) end
      assert.same({ 2, 5050 }, results:get(true, LONG))
      handle:join()
    end)

    it("is that of a function which names it", function()
      local q, results = queue.SimpleQueue(), queue.SimpleQueue()
      local handle = _thread.start_joinable_thread(function()
        local base, derived = q:get(true, LONG), q:get(true, LONG)
        results:put { is_a(base, Base), is_a(base, Derived), is_a(derived, Derived),
          is_a(derived, Base) }
        results:put(new(Derived, 7))
      end)
      q:put(new(Base, 1))
      q:put(new(Derived, 2))
      assert.same({ true, false, true, true }, results:get(true, LONG))
      local made_there = results:get(true, LONG)
      assert.is_true(is_a(made_there, Derived))
      assert.is_true(is_a(made_there, Base))
      assert.equal(7, made_there:get())
      handle:join()
    end)

    it("is the original in what has gone through two threads", function()
      local first, second, home = queue.SimpleQueue(), queue.SimpleQueue(), queue.SimpleQueue()
      local one = _thread.start_joinable_thread(function()
        for _ = 1, 3 do second:put(first:get(true, LONG)) end
      end)
      local other = _thread.start_joinable_thread(function()
        for _ = 1, 3 do home:put(second:get(true, LONG)) end
      end)
      for i = 1, 3 do first:put(new(Derived, i)) end
      for i = 1, 3 do
        local back = home:get(true, LONG)
        assert.is_true(is_a(back, Derived))
        assert.is_true(is_a(back, Base))
        assert.equal(i, back:get())
      end
      one:join()
      other:join()
    end)

    it("is the original in the state that puts and gets", function()
      local q = queue.SimpleQueue()
      for i = 1, 3 do
        local object = new(Derived, i)
        q:put(object)
        local back = q:get()
        assert.are_not.equal(object, back)
        assert.is_true(is_a(back, Derived))
      end
    end)
  end)
end

describe("a class", function()
  it("is one for 20,000 messages", function()
    local Class = new_class()
    local q = queue.SimpleQueue()
    local handle = _thread.start_joinable_thread(function()
      local metatables, count = {}, 0
      for _ = 1, 20000 do
        local metatable = getmetatable(q:get(true, LONG))
        if not metatables[metatable] then
          metatables[metatable], count = true, count + 1
        end
      end
      return count
    end)
    for i = 1, 20000 do q:put(Class.new(i)) end
    handle:join()
    assert.equal(1, handle:result())
  end)

  it("arrives as a value, as the metatable of another and as a key", function()
    local Class = new_class()
    local first
    local server = new_server(function(message)
      first = first or message.class
      return message.class == first, getmetatable(message.object) == first, message[first],
        message.class
    end)
    for i = 1, 3 do
      local same, metatable, value, back =
        server.ask { class = Class, object = Class.new(i), [Class] = i }
      assert.is_true(same)
      assert.is_true(metatable)
      assert.equal(i, value)
      assert.equal(Class, back)
    end
    server.stop()
  end)

  it("comes in results, arguments, errors, batches, and functions in shared tables", function()
    local Class = new_class()
    local shared = _thread.shared { make = Class.new }
    local q = queue.Queue()
    local handle = _thread.start_joinable_thread(function(argument)
      local objects = q:get_many(3)
      objects[4], objects[5], objects[6] = argument, shared.make(5), shared.make(6)
      for _, object in ipairs(objects) do
        assert(getmetatable(object) == Class)
      end
      return objects
    end, { args = { Class.new(0) } })
    q:put_many { Class.new(2), Class.new(3), Class.new(4) }
    handle:join()
    for _, object in ipairs(handle:result()) do
      assert.equal(Class, getmetatable(object))
    end
    local failing = _thread.start_joinable_thread(function()
      error(_thread.ValueError("no", Class.new(5)))
    end)
    failing:join()
    local ok, e = pcall(failing.result, failing)
    assert.is_false(ok)
    assert.equal(Class, getmetatable(e.args[2]))
    assert.equal(Class, getmetatable(shared.make(7)))
  end)

  it("has in common with a function what it has here", function()
    local count = 0
    local registry = {}
    local Class = new_class()
    function Class.count(object)
      count = count + 1
      registry[count] = object.n
    end
    assert.same({ 2, 7 }, { call(function(object)
      object:count()
      object:count()
      return count, registry[2]
    end, Class.new(7)) })
  end)

  it("that is gone here comes back as a copy", function()
    local q, results = queue.SimpleQueue(), queue.SimpleQueue()
    local handle = _thread.start_joinable_thread(function()
      local object = q:get(true, LONG)
      q:get(true, LONG)
      results:put(object)
      results:put(object)
    end)
    do
      local Class = new_class()
      q:put(Class.new(3))
    end
    collectgarbage()
    collectgarbage()
    q:put "go"
    local one, other = results:get(true, LONG), results:get(true, LONG)
    assert.equal(3, one:get())
    assert.equal(getmetatable(one), getmetatable(other))
    handle:join()
  end)

  it("that is refused says so as before, time and again", function()
    local Class = new_class()
    local q = queue.SimpleQueue()
    local object = Class.new(1)
    q:put(object)
    Class.co = coroutine.create(print)
    for _ = 1, 3 do
      local ok, e = pcall(q.put, q, { object = object })
      assert.is_false(ok)
      assert.equal("cannot transfer a coroutine (message.object's metatable.co); " ..
        "send its function and create it there", e.message)
    end
    Class.co = nil
    q:put(object)
    assert.equal(2, q:qsize())
    assert.equal(Class, getmetatable(q:get()))
  end)

  it("leaves no memory when it is gone", function()
    local before = settled()
    for _ = 1, 20 do
      local Class = new_class()
      local q = queue.SimpleQueue()
      Class.queue = q -- a circle through the definition
      for i = 1, 3 do q:put(Class.new(i)) end
    end
    assert.equal(before, settled())
  end)
end)

describe("what is no class", function()
  it("is copied each time: a table with a metatable for defaults", function()
    local server = new_server(function(message)
      message.count = (message.count or 0) + 1
      return message.count, message.color
    end)
    local t = setmetatable({ count = 5 }, { __index = { color = "red" } })
    for _ = 1, 3 do
      assert.same({ 6, "red" }, { server.ask(t) })
    end
    server.stop()
  end)

  it("is copied each time: an object that is its own metatable", function()
    local server = new_server(function(object)
      object.count = object.count + 1
      return object, getmetatable(object) == object
    end)
    local object = { count = 5 }
    object.__index = function(_, name) return "no " .. name end
    setmetatable(object, object)
    for _ = 1, 3 do
      local back, is_its_own = server.ask(object)
      assert.is_true(is_its_own)
      assert.equal(6, back.count)
      assert.equal("no color", back.color)
      assert.equal(back, getmetatable(back))
      assert.are_not.equal(object, back)
    end
    server.stop()
  end)

  it("is copied each time: a callable object, also one that holds a class", function()
    local Class = new_class()
    local factory = setmetatable({ class = Class, made = 0 }, {
      __call = function(self, n)
        self.made = self.made + 1
        return self.class.new(n)
      end,
    })
    local server = new_server(function(f)
      local object = f(4)
      return f.made, object
    end)
    for _ = 1, 3 do
      local made, object = server.ask(factory)
      assert.equal(1, made)
      assert.equal(Class, getmetatable(object))
    end
    server.stop()
  end)
end)

describe("an object that is raised", function()
  it("has the class that it had, here and in the hook", function()
    local Error = setmetatable({}, { __call = function(class, text)
      return setmetatable({ text = text }, class)
    end })
    Error.__index = Error
    function Error.__tostring(self) return "Error: " .. self.text end
    local raised = queue.SimpleQueue()
    _thread.set_excepthook(function(args)
      raised:put { getmetatable(args.exc_value) == Error, args.exc_value }
    end)
    local handle = _thread.start_joinable_thread(function() error(Error "no") end)
    handle:join()
    _thread.set_excepthook(nil)
    local same, value = table.unpack(raised:get(true, LONG))
    assert.is_true(same)
    assert.equal(Error, getmetatable(value))
    local ok, e = pcall(handle.result, handle)
    assert.is_false(ok)
    assert.equal(Error, getmetatable(e))
    assert.equal("Error: no", tostring(e))
  end)
end)

describe("a class that has changed here", function()
  local Class, server

  before_each(function()
    Class = new_class()
  end)

  after_each(function()
    server.stop()
  end)

  it("arrives with the change, in the one that the thread has", function()
    local first
    server = new_server(function(object)
      first = first or getmetatable(object)
      return getmetatable(object) == first, object.limit, object.extra and object:extra()
    end)
    assert.same({ true, 1 }, { server.ask(Class.new(1)) })
    assert.same({ true, 1 }, { server.ask(Class.new(1)) })
    Class.limit = 2
    assert.same({ true, 2 }, { server.ask(Class.new(1)) })
    function Class.extra(self) return self.n * 10 end
    assert.same({ true, 2, 30 }, { server.ask(Class.new(3)) })
    function Class.extra(self) return self.n * 100 end
    assert.same({ true, 2, 300 }, { server.ask(Class.new(3)) })
    Class.extra, Class.limit = nil, nil
    assert.same({ true }, { server.ask(Class.new(3)) })
  end)

  it("arrives with what has changed deep in it, above it and in the variables it reads", function()
    local rate = 2
    local Base = { bonus = 1 }
    Base.__index = Base
    setmetatable(Class, Base)
    Class.options = { deep = { color = "red" } }
    function Class.price(self) return self.n * rate + self.bonus end
    server = new_server(function(object)
      return object:price(), object.options.deep.color
    end)
    assert.same({ 7, "red" }, { server.ask(Class.new(3)) })
    assert.same({ 7, "red" }, { server.ask(Class.new(3)) })
    rate = 5
    assert.same({ 16, "red" }, { server.ask(Class.new(3)) })
    Base.bonus = 2
    assert.same({ 17, "red" }, { server.ask(Class.new(3)) })
    Class.options.deep.color = "blue"
    assert.same({ 17, "blue" }, { server.ask(Class.new(3)) })
    setmetatable(Class, { __index = { bonus = 100 } })
    assert.same({ 115, "blue" }, { server.ask(Class.new(3)) })
  end)

  it("keeps what the thread has set itself", function()
    server = new_server(function(object)
      local class = getmetatable(object)
      if object.n == 1 then class.limit, class.own = 50, "own" end
      return class.limit, class.own, class.other
    end)
    assert.same({ 50, "own" }, { server.ask(Class.new(1)) })
    Class.limit, Class.other = 2, 3
    assert.same({ 50, "own", 3 }, { server.ask(Class.new(2)) })
    assert.same({ 50, "own", 3 }, { server.ask(Class.new(2)) })
    assert.is_nil(Class.own)
  end)

  it("leaves the thread its own counters", function()
    local made = 0
    function Class.make(n)
      made = made + 1
      return Class.new(n)
    end
    function Class.made() return made end
    server = new_server(function(object)
      local class = getmetatable(object)
      class.make(1)
      return class.made()
    end)
    for i = 1, 3 do
      assert.equal(i + 1, (server.ask(Class.make(1)))) -- it began with the one of here
    end
    assert.equal(3, made)
  end)

  it("is not changed by what comes home", function()
    server = new_server(function(object)
      getmetatable(object).limit = object.n
      return object
    end)
    for i = 10, 12 do
      assert.equal(Class, getmetatable((server.ask(Class.new(i)))))
      assert.equal(1, Class.limit)
    end
    Class.limit = 2
    assert.equal(Class, getmetatable((server.ask(Class.new(13)))))
    assert.equal(2, Class.limit)
  end)
end)

describe("what methods keep for an object in a table of their own", function()
  local function ask_twice(Class, new)
    local server = new_server(function(object)
      local n = object:get()
      object:set(n + 1)
      return n, object:get(), object
    end)
    for i = 1, 3 do
      local object = new(i)
      local n, next_n, back = server.ask(object)
      assert.equal(i, n)
      assert.equal(i + 1, next_n)
      assert.equal(Class, getmetatable(back))
      assert.equal(i + 1, back:get())
      assert.equal(i, object:get())
    end
    server.stop()
  end

  for name, mode in pairs { ["weak"] = "k", ["that keeps them"] = "" } do
    it("crosses with the object: one " .. name, function()
      local private = setmetatable({}, { __mode = mode })
      local Class = {}
      Class.__index = Class
      function Class.get(self) return private[self].n end
      function Class.set(self, n) private[self].n = n end
      local function new(n)
        local object = setmetatable({}, Class)
        private[object] = { n = n }
        return object
      end
      ask_twice(Class, new)
    end)
  end

  it("crosses where a class above has the table, and for the objects it leads to", function()
    local private = setmetatable({}, { __mode = "k" })
    local Base = {}
    Base.__index = Base
    function Base.get(self) return private[self].other and private[private[self].other].n end
    function Base.set(self, n) private[private[self].other].n = n end
    local Class = setmetatable({}, Base)
    Class.__index = Class
    local function new(n)
      local object, other = setmetatable({}, Class), setmetatable({}, Class)
      private[object], private[other] = { other = other }, { n = n }
      return object
    end
    ask_twice(Class, new)
  end)

  it("does not cross for other objects", function()
    local private = setmetatable({}, { __mode = "k" })
    local Class = {}
    Class.__index = Class
    function Class.count()
      local count = 0
      for _ in pairs(private) do count = count + 1 end
      return count
    end
    local objects = {}
    for i = 1, 100 do
      objects[i] = setmetatable({}, Class)
      private[objects[i]] = coroutine.create(print) -- could not cross
    end
    private[objects[1]] = 1
    local server = new_server(function(object)
      collectgarbage()
      return object.count()
    end)
    for _ = 1, 3 do
      assert.equal(1, (server.ask(objects[1])))
    end
    server.stop()
    local q = queue.SimpleQueue()
    local ok, e = pcall(q.put, q, objects[2])
    assert.is_false(ok)
    assert.matches("cannot transfer a coroutine", e.message)
  end)

  it("is all there in a function's copy of that table", function()
    local all = {}
    local Class = {}
    Class.__index = Class
    function Class.register(self, n) all[self] = n end
    for i = 1, 10 do setmetatable({}, Class):register(i) end
    assert.same({ 55, true }, { call(function()
      local sum, is_one = 0, true
      for object, n in pairs(all) do
        sum, is_one = sum + n, is_one and getmetatable(object) == Class
      end
      return sum, is_one
    end) })
  end)
end)

describe("classes of threads at once", function()
  it("are one in each, for objects that go from any to any", function()
    local Class = new_class()
    local q, results = queue.SimpleQueue(), queue.SimpleQueue()
    local handles = {}
    for i = 1, 4 do
      handles[i] = _thread.start_joinable_thread(function()
        for _ = 1, 500 do
          local object = q:get(true, LONG)
          if getmetatable(object) ~= Class then error "another class" end
          q:put(Class.new(object:get() + 1))
        end
        results:put(Class.new(i))
      end)
    end
    for i = 1, 8 do q:put(Class.new(i)) end
    for i = 1, 4 do
      handles[i]:join()
      assert.is_nil((select(2, pcall(handles[i].result, handles[i]))))
    end
    local sum = 0
    for _ = 1, 8 do
      local object = q:get(true, LONG)
      assert.equal(Class, getmetatable(object))
      sum = sum + object:get()
    end
    assert.equal(36 + 2000, sum)
    for _ = 1, 4 do
      assert.equal(Class, getmetatable(results:get(true, LONG)))
    end
  end)
end)

describe("register_class(name, class)", function()
  local number = 0

  -- Names stay registered.
  local function new_name()
    number = number + 1
    return "class_spec." .. number
  end

  it("returns the class, and may be called again for it", function()
    local Class, name = new_class(), new_name()
    assert.equal(Class, _thread.register_class(name, Class))
    assert.equal(Class, _thread.register_class(name, Class))
  end)

  it("has a thread take its own class of that name", function()
    local Class, name = new_class(), new_name()
    _thread.register_class(name, Class)
    local q, results = queue.SimpleQueue(), queue.SimpleQueue()
    local handle = _thread.start_joinable_thread(function()
      local Own = {}
      Own.__index = Own
      function Own.get() return "own" end
      _thread.register_class(name, Own)
      local one, other = q:get(true, LONG), q:get(true, LONG)
      results:put { getmetatable(one) == Own, getmetatable(other) == Own, one:get() }
      results:put(one)
      results:put(setmetatable({ n = 8 }, Own))
    end)
    q:put(Class.new(1))
    q:put(Class.new(2))
    assert.same({ true, true, "own" }, results:get(true, LONG))
    for _, n in ipairs { 1, 8 } do
      local object = results:get(true, LONG)
      assert.equal(Class, getmetatable(object))
      assert.equal(n, object:get())
    end
    handle:join()
  end)

  it("has a thread that has none register a copy", function()
    local Class, name = new_class(), new_name()
    _thread.register_class(name, Class)
    local q, results = queue.SimpleQueue(), queue.SimpleQueue()
    local handle = _thread.start_joinable_thread(function()
      local object = q:get(true, LONG)
      local copy = getmetatable(object)
      results:put(object)
      results:put(_thread.register_class(name, copy) == copy)
      -- A module that is loaded later registers the thread's own.
      local Own = {}
      Own.__index = Own
      _thread.register_class(name, Own)
      results:put(getmetatable(q:get(true, LONG)) == Own)
    end)
    q:put(Class.new(1))
    q:put(Class.new(1))
    assert.equal(Class, getmetatable(results:get(true, LONG)))
    assert.is_true(results:get(true, LONG))
    handle:join()
    local ok, e = pcall(handle.result, handle)
    assert.is_false(ok) -- it had registered the copy itself
    assert.matches("is the name of another class in this thread", e.message)
  end)

  it("takes the name from a copy that has only come with it", function()
    local Class, name = new_class(), new_name()
    _thread.register_class(name, Class)
    local q, results = queue.SimpleQueue(), queue.SimpleQueue()
    local handle = _thread.start_joinable_thread(function()
      local copy = getmetatable(q:get(true, LONG))
      local Own = {}
      Own.__index = Own
      _thread.register_class(name, Own)
      local metatable = getmetatable(q:get(true, LONG))
      results:put { metatable == Own, copy ~= Own }
    end)
    q:put(Class.new(1))
    q:put(Class.new(1))
    assert.same({ true, true }, results:get(true, LONG))
    handle:join()
  end)

  it("raises ValueError for a second class, and for a second name", function()
    local Class, name = new_class(), new_name()
    _thread.register_class(name, Class)
    local ok, e = pcall(_thread.register_class, name, new_class())
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.ValueError))
    assert.equal("bad argument #1 to 'register_class' ('" .. name ..
      "' is the name of another class in this thread)", e.message)
    local other = new_name()
    ok, e = pcall(_thread.register_class, other, Class)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.ValueError))
    assert.equal("bad argument #2 to 'register_class' (the class is registered as '" .. name ..
      "', it can't be '" .. other .. "', too)", e.message)
    assert.is_table(_thread.register_class(other, new_class()))
  end)

  it("raises TypeError for what is no string or no table, ValueError for a zero byte", function()
    for _, case in ipairs {
      { _thread.TypeError, 1, {} }, { _thread.TypeError, "a", 1 }, { _thread.TypeError, "a" },
      { _thread.TypeError, "a", _thread.ValueError }, { _thread.ValueError, "a\0b", {} },
      { _thread.TypeError, "a", {}, 3 },
    } do
      local ok, e = pcall(_thread.register_class, table.unpack(case, 2))
      assert.is_false(ok)
      assert.is_true(_thread.isinstance(e, case[1]), tostring(e))
    end
  end)
end)
