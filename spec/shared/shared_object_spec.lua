-- Shared objects: shared tables with a metatable, which are objects of a class in every thread.
local _thread = require "lthread"
local queue = require "lthread.queue"
local threads = require "support.threads"
local raised = require "support.raised"
local call, raises = threads.call, threads.raises
local TypeError = _thread.TypeError

-- A class as most people write them.
local function new_class()
  local Account = { kind = "account" }
  Account.__index = Account
  function Account.new(balance) return setmetatable({ balance = balance }, Account) end
  function Account:deposit(n) self.balance = self.balance + n end
  function Account:earn(n) return _thread.add(self, "balance", n) end
  function Account:is_richer(other) return self.balance > other.balance end
  return Account
end

-- A class as middleclass makes them: objects have their class as a field, which has the metatable
-- of the objects as a field, and a metatable of its own.
local function new_middle_class(name, super)
  local methods = {}
  local class = { name = name, super = super, __instanceDict = methods, static = {} }
  methods.__index = methods
  if super then setmetatable(methods, { __index = super.__instanceDict }) end
  return setmetatable(class, {
    __index = class.static,
    __newindex = function(_, key, value) methods[key] = value end,
    __call = function(self, ...)
      local object = setmetatable({ class = self }, methods)
      object:initialize(...)
      return object
    end,
    __tostring = function() return "class " .. name end,
  })
end

local function in_both(f, ...)
  assert(f(...), "here")
  assert.is_true(call(f, ...), "in a thread")
end

describe("A shared object", function()
  local Account, account

  before_each(function()
    Account = new_class()
    account = _thread.shared(Account.new(1))
  end)

  it("is one object for all threads", function()
    account:deposit(2)
    assert.equal(13, call(function()
      account:deposit(10)
      account.owner = { name = "Ann" }
      return account.balance
    end))
    assert.equal(13, account.balance)
    assert.equal("Ann", account.owner.name)
    assert.is_true(_thread.isinstance(account, _thread.shared))
  end)

  it("is made of a table and a metatable, too", function()
    for _, object in ipairs { _thread.shared({ balance = 5 }, Account),
      _thread.shared(nil, Account),
      _thread.shared(setmetatable({}, { __index = error }), Account) } do
      object.balance = 5
      in_both(function() return object:earn(1) > 5 end)
      assert.equal(7, object.balance)
    end
  end)

  it("shows its metatable, which is the same for all objects of a class", function()
    local other = _thread.shared(Account.new(2))
    assert.equal(Account, getmetatable(account))
    assert.equal(Account, getmetatable(other))
    in_both(function()
      return getmetatable(account) == getmetatable(other) and
        getmetatable(account).kind == "account"
    end)
    assert.equal("locked", getmetatable(_thread.shared({}, { __metatable = "locked" })))
    assert.equal("locked", call(getmetatable, _thread.shared({}, { __metatable = "locked" })))
  end)

  it("comes home as the object of the class that it was", function()
    local sent, back = queue.Queue(), queue.Queue()
    local thread = threads.start(function()
      local box = sent:get()
      box.account:deposit(1)
      back:put(box.account)
    end)
    sent:put { account = account }
    account = nil
    collectgarbage()
    local returned = back:get()
    thread:join()
    assert.equal(Account, getmetatable(returned))
    assert.equal(2, returned.balance)
  end)

  it("goes by reference into shared tables and into other objects", function()
    local t = _thread.shared { list = {} }
    t.account, t.list[1] = account, account
    local holder = _thread.shared(setmetatable({ inner = { account } }, Account))
    assert.equal(account, t.account)
    assert.equal(account, holder.inner[1])
    in_both(function()
      return t.account == t.list[1] and holder.inner[1] == t.account and
        t.account:earn(1) == holder.inner[1].balance
    end)
    t[account] = "key"
    in_both(function() return t[account] == "key" end)
  end)

  it("may refer to itself, in its tables too", function()
    local object = setmetatable({ list = { {} } }, Account)
    object.itself, object.list[1].owner = object, object
    object = _thread.shared(object)
    in_both(function() return object.itself == object and object.list[1].owner == object end)
  end)

  it("is returned as it is by shared()", function()
    assert.equal(account, _thread.shared(account))
    raises(TypeError, "a shared table keeps the metatable that it was made with", _thread.shared,
      account, Account)
    raises(TypeError, "keeps the metatable", _thread.shared, _thread.shared(), {})
  end)

  it("has the metatable as it was when it was made; methods of its own thread come at once",
    function()
      function Account.late() return "late" end
      function Account.__len() return 9 end
      assert.equal("late", account.late())
      assert.equal(0, #account)
      assert.is_nil(call(function() return account.late end))
      local next_one = _thread.shared(Account.new(1))
      assert.equal(9, #next_one)
      in_both(function() return next_one.late() == "late" and #next_one == 9 end)
      in_both(function() return account.balance == 1 end)
      assert.equal(Account, getmetatable(next_one))
    end)

  it("may have functions with upvalues, and objects of its own class among them", function()
    local first = _thread.shared(Account.new(7))
    Account.first = first
    function Account.get_first() return first end
    local second = _thread.shared(Account.new(8))
    in_both(function()
      return second.get_first() == second.first and second.first.balance == 7 and
        second.get_first():is_richer(account)
    end)
    Account.itself = second
    local third = _thread.shared(Account.new(9))
    in_both(function()
      return third.itself == second and second.first == first and third.itself.balance == 8
    end)
  end)

  it("may be asked for while a thread makes its class", function()
    local box = _thread.shared()
    local function find(from) return { object = from.object, count = from.object.count } end
    Account.helper = setmetatable({}, { __transfer = function() return find, box end })
    box.object = _thread.shared({ count = 3 }, Account)
    assert.is_true(call(function()
      local object = box.object
      return object.helper.object == object and object.helper.count == 3 and
        object.helper.object.kind == "account" and rawequal(box.object, object)
    end))
  end)

  it("raises in the reader what goes wrong in making its class, until it goes well", function()
    local box = _thread.shared { fails = true }
    local function find(from)
      if from.fails then error "not yet" end
      return { from.object }
    end
    Account.helper = setmetatable({}, { __transfer = function() return find, box end })
    box.object = _thread.shared({ count = 3 }, Account)
    local sent = queue.SimpleQueue()
    sent:put { 1, box, inner = { box.object } }
    sent:put "next"
    assert.is_true(call(function()
      for _ = 1, 3 do
        local ok, message = pcall(function() return box.object end)
        assert(not ok and message:find "not yet", message)
      end
      local ok, message = pcall(sent.get, sent)
      assert(not ok and message:find "not yet", message)
      assert(sent:get() == "next")
      box.fails = false
      return box.object.kind == "account" and box.object.helper[1] == box.object
    end))
    assert.equal("account", box.object.kind)
  end)

  it("may have a shared table as metatable, which is then the same in all threads", function()
    local Shared = _thread.shared { __len = function() return 7 end }
    Shared.__index = Shared
    function Shared:earn(n) return _thread.add(self, "balance", n) end
    local object = _thread.shared({ balance = 1 }, Shared)
    in_both(function()
      function Shared.late() return "late" end
      return getmetatable(object) == Shared and object:earn(1) > 1 and #object == 7 and
        object.late() == "late"
    end)
    assert.equal(3, object.balance)
    local copy = _thread.copy(object)
    assert.equal(3, copy.balance)
    assert.is_nil(getmetatable(copy))
    raises(TypeError, "cannot have __gc", _thread.shared, {}, _thread.shared { __gc = print })
  end)

  it("is a global of all threads, as its class", function()
    local globals = _thread.globals
    globals.Clock = { ticks = 0 }
    globals.Clock.__index = globals.Clock
    function globals.Clock:tick() return _thread.add(self, "ticks", 1) end
    globals.clock = _thread.shared({}, globals.Clock)
    in_both(function() return globals.clock:tick() == globals.clock.ticks end)
    globals.clock, globals.Clock = nil, nil
  end)

  it("works in finalizers, while a thread ends, too", function()
    call(function()
      local function deposit() account:deposit(1) end
      last_of_thread = setmetatable({}, { __gc = deposit }) -- luacheck: ignore
    end)
    assert.equal(2, account.balance)
  end)

  it("is of the very class that a thread has, whichever comes first", function()
    assert.same({ true, true, 6 }, { call(function(shared)
      local mine = _thread.shared(Account.new(5))
      mine:earn(1)
      return getmetatable(shared) == Account, getmetatable(mine) == getmetatable(shared),
        mine.balance
    end, account) })
    assert.is_true(call(function()
      local shared = account
      return getmetatable(shared) == Account and getmetatable(Account.new(1)) == Account
    end))
    local made = call(function() return _thread.shared(Account.new(5)) end)
    assert.equal(Account, getmetatable(made))
    local sent = queue.SimpleQueue()
    sent:put { account, Account, Account.new(1) }
    sent:put { Account.new(1), Account, account }
    sent:put(_thread.shared(Account.new(1)))
    assert.is_true(call(function()
      local one, other, object = sent:get(), sent:get(), sent:get()
      local class = getmetatable(object)
      for _, message in ipairs { one, other } do
        for i = 1, 3, 2 do assert(getmetatable(message[i]) == class and message[2] == class) end
      end
      return object.kind == "account"
    end))
  end)

  it("works for whoever got hold of it while its class could not be made", function()
    local box = _thread.shared { fails = true }
    local function find(from)
      if from.fails then
        kept_by_spec = from.object -- luacheck: ignore
        error "not yet"
      end
    end
    Account.helper = setmetatable({}, { __transfer = function()
      return function(from) return { find(from) } end, box
    end })
    box.object = _thread.shared({ balance = 3 }, Account)
    assert.is_true(call(function()
      local ok = pcall(function() return box.object end)
      local kept = _G.kept_by_spec
      assert(not ok and kept.balance == 3)
      box.fails = false
      kept.balance = 4
      return kept.kind == "account" and kept:earn(1) == 5 and box.object.balance == 5
    end))
  end)

  it("works while the message is received with which it comes", function()
    local Wrapper = {}
    function Wrapper.__transfer(wrapper)
      return function(inner, n) return setmetatable({ inner, inner:earn(n) }, Wrapper) end,
        wrapper[1], 2
    end
    local result = call(function(wrapper)
      return wrapper[2] == 3 and wrapper[1]:earn(1) == 4
    end, setmetatable({ account }, Wrapper))
    assert.is_true(result)
    assert.equal(4, account.balance)
  end)

  it("calls the metamethods of a module's class by the name of the module", function()
    local class = require "fixtures.class"
    local object = _thread.shared(setmetatable({}, class))
    in_both(function() return getmetatable(object) == require "fixtures.class" end)
  end)
end)

describe("The metamethod", function()
  it("__index is asked for fields that the table lacks, as a function", function()
    local object = _thread.shared({ present = false }, {
      __index = function(t, key) return _thread.rawget(t, "present") == false and key end
    })
    in_both(function()
      return object.absent == "absent" and object.present == false and object[1] == 1
    end)
    object.absent = 5
    in_both(function() return object.absent == 5 end)
    local key = {}
    assert.equal(key, object[key])
    assert.is_nil(object[nil])
  end)

  it("__index may be a chain of tables, functions and shared tables", function()
    local base = { one = 1 }
    local middle = setmetatable({ two = 2 }, { __index = base })
    local class = setmetatable({ three = 3 }, { __index = middle })
    local object = _thread.shared({ four = 4 }, { __index = class })
    in_both(function()
      return object.one + object.two + object.three + object.four == 10 and object.five == nil
    end)
    local function f(t, key) return rawget(t, "name") .. key end
    object = _thread.shared({}, { __index = setmetatable({ name = "base " }, { __index = f }) })
    in_both(function() return object.x == "base x" end)
    local defaults = _thread.shared({ color = "red" }, { __index = { size = 3 } })
    object = _thread.shared({}, { __index = defaults })
    in_both(function() return object.color == "red" and object.size == 3 and object.no == nil end)
    defaults.color = "blue"
    in_both(function() return object.color == "blue" end)
    object = _thread.shared({}, { __index = "text" })
    in_both(function() return object.upper == string.upper end)
  end)

  it("__index may not be a chain without an end", function()
    local loop = {}
    setmetatable(loop, { __index = loop, __newindex = loop })
    local object = _thread.shared({}, { __index = loop, __newindex = loop })
    assert.error_matches(function() return object.x end, "'__index' chain too long")
    assert.error_matches(function() object.x = 1 end, "'__newindex' chain too long")
  end)

  it("__newindex gets fields that the table lacks, as a function", function()
    local object = _thread.shared({ present = 1 }, {
      __newindex = function(t, key, value) _thread.rawset(t, key, value * 2) end
    })
    in_both(function()
      _thread.rawset(object, "x", nil)
      object.present = 1
      object.x, object.present = 4, 5
      return object.x == 8 and object.present == 5
    end)
  end)

  it("__newindex may be a table, of the thread or shared", function()
    local log = _thread.shared()
    local object = _thread.shared({ x = 1 }, { __newindex = log })
    in_both(function()
      log.y = nil
      object.x, object.y = 2, 3
      return object.x == 2 and _thread.rawget(object, "y") == nil and log.y == 3
    end)
    local own = {}
    object = _thread.shared({}, { __newindex = own })
    object.x = 1
    assert.equal(1, own.x)
    assert.is_nil(object.x)
    assert.error_matches(function() object[nil] = 1 end, "nil")
    object = _thread.shared({}, { __newindex = setmetatable({}, { __newindex = own }) })
    object.y = 2
    assert.equal(2, own.y)
  end)

  it("__call, __len, __concat, __unm and all others of operators is called as Lua does", function()
    local function number(x) return type(x) == "userdata" and x.n or x end
    local class = {
      __call = function(self, a, b) return self.n + a + (b or 0) end,
      __len = function(self) return self.n * 10 end,
      __concat = function(a, b) return number(a) .. "|" .. number(b) end,
      __unm = function(a) return -a.n end,
      __bnot = function(a) return ~a.n end,
    }
    for name, operator in pairs { add = "+", sub = "-", mul = "*", div = "/", mod = "%", pow = "^",
      idiv = "//", band = "&", bor = "|", bxor = "~", shl = "<<", shr = ">>" } do
      class["__" .. name] = load(
        "local number = ... return function(a, b) return number(a) " .. operator .. " number(b) end"
      )(number)
    end
    local a, b = _thread.shared({ n = 7 }, class), _thread.shared({ n = 2 }, class)
    in_both(function()
      return a(1) == 8 and a(1, 2) == 10 and #a == 70 and a .. b == "7|2" and 1 .. a == "1|7" and
        a .. "x" == "7|x" and -a == -7 and ~a == ~7 and a + b == 9 and 1 + a == 8 and a - 1 == 6 and
        a * b == 14 and a / b == 3.5 and a % b == 1 and a ^ b == 49 and a // b == 3 and
        a & b == 2 and a | b == 7 and a ~ b == 5 and a << b == 28 and a >> 1 == 3
    end)
  end)

  it("__eq, __lt and __le compares objects, and tables with objects", function()
    local class = {
      __eq = function(a, b) return a.n == b.n end,
      __lt = function(a, b) return a.n < b.n end,
      __le = function(a, b) return a.n <= b.n end,
    }
    local a, b, c = _thread.shared({ n = 1 }, class), _thread.shared({ n = 2 }, class),
      _thread.shared({ n = 2 }, class)
    in_both(function()
      return a < b and (b < a) == false and
        b <= c and b > a and b == c and a ~= b and rawequal(b, b) and
        not rawequal(b, c) and a < { n = 2 } and { n = 2 } <= b and a ~= { n = 1 }
    end)
    local plain = _thread.shared { n = 2 }
    assert.is_false(plain == _thread.shared { n = 2 })
    assert.is_true(b == plain)
  end)

  it("__tostring and __name is what the object is called", function()
    local object = _thread.shared({ n = 3 }, {
      __tostring = function(o) return "object " .. o.n end,
    })
    in_both(function() return tostring(object) == "object 3" end)
    object = _thread.shared({}, { __name = "Account" })
    in_both(function() return tostring(object):match "^<Account object at 0?x?%x+>$" ~= nil end)
    assert.error_matches(function() return string.rep(object) end, "Account")
    object = _thread.shared({}, {})
    in_both(function() return tostring(object):match "^<_thread%.shared object at" ~= nil end)
  end)

  it("__pairs walks; without it the fields of the table are walked", function()
    local function walk(t)
      local found = {}
      for key, value in pairs(t) do found[#found + 1] = key .. "=" .. value end
      return table.concat(found, " ")
    end
    local object = _thread.shared({ 10, 20 }, { __index = { hidden = 1 } })
    in_both(function() return walk(object) == "1=10 2=20" and #object == 2 end)
    object = _thread.shared({ 10, 20 }, {
      __pairs = function(t)
        local next_field, state = _thread.rawpairs(t)
        return function(...)
          local key, value = next_field(...)
          return key, key and -value
        end, state
      end,
    })
    in_both(function() return walk(object) == "1=-10 2=-20" end)
    object = _thread.shared({ 1 }, { __index = function(_, i) return i <= 3 and i or nil end })
    in_both(function()
      local sum = 0
      for _, x in ipairs(object) do sum = sum + x end
      return sum == 6
    end)
  end)

  it("may yield", function()
    local object = _thread.shared({}, {
      __index = function(_, key) return coroutine.yield(key) end,
      __newindex = function(t, key, value) _thread.rawset(t, key, coroutine.yield(value)) end,
      __len = function() return coroutine.yield "len" end,
      __add = function() return coroutine.yield "add" end,
    })
    in_both(function()
      local resume = coroutine.wrap(function()
        local a = object.foo
        object.bar = 7
        return a, object.bar, #object, object + 1
      end)
      local results = { resume(), resume(1), resume(70), resume(9), select(4, resume(5)) }
      _thread.rawset(object, "bar", nil)
      return table.concat(results, " ") == "foo 7 len add 5"
    end)
  end)

  it("may raise, and be interrupted", function()
    threads.quiet(finally)
    local object = _thread.shared({}, { __index = function(_, key)
      if key == "wait" then _thread.sleep(threads.LONG) end
      error(key, 0)
    end })
    assert.error_matches(function() return object.fault end, "^fault$")
    local handle = threads.start(function() return object.wait end)
    assert.is_true(threads.await_blocked(handle.ident))
    handle:interrupt(_thread.ValueError "stop")
    threads.ended_by(_thread.ValueError, handle)
    assert.error_matches(function() return object.fault end, "^fault$")
  end)

  it("may change the object, or let go of it", function()
    local class = {}
    function class.__index(t, key)
      _thread.rawset(t, key, {})
      collectgarbage()
      return _thread.rawget(t, key)
    end
    local object = _thread.shared({}, class)
    in_both(function() return object.list == object.list and #object.list == 0 end)
    local box = { _thread.shared({}, { __index = function() return "last" end }) }
    local function get() return table.remove(box).x, collectgarbage() end
    assert.equal("last", (get()))
  end)

  it("__close is called at the end of a scope that asks for it", function()
    local class = {}
    function class.__close(self) self.closed = (self.closed or 0) + 1 end
    local object = _thread.shared({}, class)
    do
      local _ <close> = object
    end
    threads.start(function()
      local _ <close> = object
    end):join()
    assert.equal(2, object.closed)
  end)

  for name, way in pairs { __gc = "a method that releases", __mode = "is not weak" } do
    it(name .. " is refused with the way out", function()
      local metatable = { [name] = name == "__mode" and "k" or function() end }
      for _, arguments in ipairs { { setmetatable({}, metatable) }, { {}, metatable } } do
        local e = raises(TypeError, "the metatable of a shared object cannot have " .. name,
          _thread.shared, table.unpack(arguments))
        assert.matches(way, e.message)
        assert.matches("#" .. #arguments, e.message)
      end
    end)
  end
end)

describe("Raw access", function()
  it("passes the metatable by", function()
    local function no() error "asked" end
    local object = _thread.shared({ 1, 2, x = 3 }, { __index = no, __newindex = no, __len = no,
      __pairs = no })
    in_both(function()
      local keys = {}
      assert(_thread.rawset(object, "y", 4) == object)
      for key in _thread.rawpairs(object) do keys[#keys + 1] = tostring(key) end
      return _thread.rawget(object, "x") == 3 and _thread.rawget(object, "z") == nil and
        _thread.rawlen(object) == 2 and table.concat(keys, " ") == "1 2 x y"
    end)
    assert.equal(5, _thread.add(object, "n", 5))
    assert.is_nil(_thread.swap(object, "s", 1))
    assert.is_true(_thread.cas(object, "c", nil, 1))
    assert.equal(1, _thread.update(object, "u", function(old) return (old or 0) + 1 end))
  end)

  it("takes plain tables, too", function()
    local function no() error "asked" end
    local t = setmetatable({ 1, x = 3 },
      { __index = no, __newindex = no, __len = no, __pairs = no })
    assert.equal(3, _thread.rawget(t, "x"))
    assert.is_nil(_thread.rawget(t, "y"))
    assert.equal(t, _thread.rawset(t, "y", 4))
    assert.equal(1, _thread.rawlen(t))
    local fields = {}
    for key, value in _thread.rawpairs(t) do fields[key] = value end
    assert.same({ 1, x = 3, y = 4 }, fields)
  end)

  it("does not look into the globals of the state", function()
    assert.equal(print, _thread.globals.print)
    assert.is_nil(_thread.rawget(_thread.globals, "print"))
  end)

  it("raises TypeError for anything else", function()
    for _, f in ipairs { _thread.rawget, _thread.rawset, _thread.rawlen, _thread.rawpairs } do
      raises(TypeError, "table or shared table expected, got _thread.lock", f,
        _thread.allocate_lock(), 1, 1)
      raised(TypeError, f)
    end
    raised(TypeError, _thread.rawget, {})
    raised(TypeError, _thread.rawset, _thread.shared(), 1)
    raised(TypeError, _thread.rawset, _thread.shared(), nil, 1)
    raised(TypeError, _thread.rawset, _thread.shared(), {}, 1)
  end)
end)

describe("A copy of a shared object", function()
  it("is an object of the class", function()
    local Account = new_class()
    local object = _thread.shared(Account.new(3))
    object.inner = _thread.shared(Account.new(4))
    in_both(function()
      local copy = _thread.copy(object)
      copy:deposit(1)
      copy.inner:deposit(1)
      return type(copy) == "table" and copy.balance == 4 and copy.inner.balance == 5 and
        object.balance == 3 and object.inner.balance == 4 and
        getmetatable(copy) == getmetatable(object) and
        getmetatable(copy.inner) == getmetatable(copy)
    end)
    assert.equal(Account, getmetatable(_thread.copy(object)))
  end)
end)

describe("A class that is a field of its objects", function()
  it("is each thread's own", function()
    local Base = new_middle_class "Base"
    function Base:initialize(n) self.n = n end
    function Base:double() return self.n * 2 end
    local Sub = new_middle_class("Sub", Base)
    function Sub:triple() return self.n * 3 end
    local object, other = _thread.shared(Sub(2)), _thread.shared(Sub(3))
    assert.equal(Sub, object.class)
    in_both(function()
      return object:double() == 4 and object:triple() == 6 and object.class == other.class and
        object.class.super.name == "Base" and tostring(object.class) == "class Sub" and
        object.class.__instanceDict == getmetatable(object) and object.class == Sub and
        object.class.super == Base
    end)
    local new = object.class(5)
    assert.equal(10, new:double())
    assert.equal(Sub, _thread.copy(object).class)
    assert.is_true(call(function() return _thread.copy(object).class == object.class end))
    assert.is_nil(_thread.rawget(object, "class"))
  end)

  it("may be the metatable itself", function()
    local class = {}
    class.__index = class
    local object = _thread.shared(setmetatable({ class = class, n = 1 }, class))
    assert.equal(class, object.class)
    in_both(function() return object.class == getmetatable(object) and object.n == 1 end)
  end)

  it("works as Penlight makes them", function()
    local class = require "pl.class"
    local Account = class()
    function Account:_init(balance) self.balance = balance end
    function Account:earn(n) return _thread.add(self, "balance", n) end
    local Savings = class(Account)
    function Savings:_init(balance, rate)
      self:super(balance)
      self.rate = rate
    end
    function Savings:interest() return self.balance * self.rate end
    local savings = _thread.shared(Savings(10, 2))
    assert.is_true(savings:is_a(Savings))
    assert.is_true(savings:is_a(Account))
    assert.equal(26, call(function()
      savings:earn(3)
      assert(savings:is_a() == Savings and savings:is_a(Account) and Account:class_of(savings))
      return savings:interest()
    end))
    assert.equal(26, savings:interest())
  end)
end)

describe("A table with a metatable", function()
  local Account, t, way

  before_each(function()
    Account, t = new_class(), _thread.shared { kept = "before" }
    way = "make an object that all threads share, _thread.shared(object), or store its fields"
  end)

  it("is not stored as a field, where what is written to it would be lost", function()
    local function set(value) t.kept = value end
    local function refuses(path, f, ...)
      local e = raises(TypeError, "cannot store a table with a metatable in a shared table (" ..
        path .. ")", f, ...)
      assert.truthy(e.message:find(way, 1, true), e.message)
      assert.equal("before", t.kept)
    end
    refuses("value", set, Account.new(1))
    refuses("value.a.list[2]", set, { a = { list = { 1, Account.new(1) } } })
    refuses("value[1]", _thread.shared, { Account.new(1) })
    refuses("value.inner", _thread.shared, setmetatable({ inner = Account.new(1) }, Account))
    refuses("value", _thread.swap, t, "kept", Account.new(1))
    refuses("value", _thread.cas, t, "kept", "before", Account.new(1))
    refuses("value", _thread.update, t, "kept", function() return Account.new(1) end)
    refuses("value", function() _thread.globals.account = Account.new(1) end)
    refuses("value", function() table.insert(t, Account.new(1)) end)
    assert.matches("_thread%.shared%(object%)", call(function()
      return select(2, pcall(set, setmetatable({}, {}))).message
    end))
  end)

  it("is stored if it is an exception, if a module has it, and within a function", function()
    t.exception = _thread.ValueError "no"
    in_both(function() return t.exception.message == "no" end)
    t.pl = require "pl.class"
    in_both(function() return t.pl == require "pl.class" end)
    local account = Account.new(4)
    t.f = function() return account.balance end
    in_both(function() return t.f() == 4 end)
  end)

  it("is stored if it is a registered class", function()
    local Base = new_class()
    local Class = setmetatable({}, { __index = Base })
    Class.__index = Class
    local e = raises(TypeError, "cannot store a class with a metatable", function()
      t.class = Class
    end)
    assert.truthy(e.message:find("_thread.register_class(name, class)", 1, true), e.message)
    _thread.register_class("shared_object_spec.Class", Class)
    _thread.register_class("shared_object_spec.Base", Base)
    t.class, t.base = Class, Base
    local object = _thread.shared({ balance = 1 }, Class)
    assert.equal(Class, t.class)
    assert.equal(Base, t.base)
    in_both(function()
      return t.class == t.class and getmetatable(object) == t.class and object:earn(1) > 1 and
        t.base.kind == "account"
    end)
    t.object = object
    local own = call(function()
      local Own = { __index = function() return "own" end }
      _thread.register_class("shared_object_spec.Class", Own)
      return getmetatable(t.object) == Own and t.class == Own and t.object.anything
    end)
    assert.equal("own", own)
  end)

  it("is stored if a rule says how it crosses", function()
    local Point = {}
    function Point.__transfer(point) return setmetatable, { point[1] }, Point end
    local function rule(account) return Account.new, account.balance end
    t.point = setmetatable({ 3 }, Point)
    in_both(function() return t.point[1] == 3 and t.point ~= t.point end)
    _thread.register_transfer(Account, rule)
    t.list = { Account.new(5) }
    in_both(function() return t.list[1].balance == 5 and t.list[1].kind == "account" end)
    _thread.register_transfer(Account, nil)
    raises(TypeError, "cannot store a table", function() t.list = { Account.new(5) } end)
  end)

  it("becomes no shared object if it is an exception, or something in it can't cross", function()
    raises(TypeError, "an exception cannot become shared", _thread.shared, _thread.ValueError "no")
    raises(TypeError, "cannot transfer a coroutine (metatable.co)", _thread.shared, {},
      { co = coroutine.create(print) })
    raises(TypeError, "(value.co)", _thread.shared, { co = coroutine.create(print) }, Account)
    raises(TypeError, "table expected, got number", _thread.shared, {}, 1)
    raises(TypeError, "table expected, got number", _thread.shared, 1, {})
  end)
end)

describe("Shared objects of many threads", function()
  it("lose nothing where the methods are one step", function()
    local Account = new_class()
    Account.lock = _thread.allocate_lock()
    function Account:locked_deposit(n)
      local _ <close> = self.lock:hold()
      self.balance = self.balance + n
    end
    function Account:updated(n)
      _thread.update(self, "balance", function(balance) return balance + n end)
    end
    local account, handles = _thread.shared(Account.new(0)), {}
    for i = 1, 6 do
      handles[i] = threads.start(function()
        for _ = 1, 300 do
          account:earn(1)
          account:updated(1)
        end
      end)
    end
    for _, handle in ipairs(handles) do handle:result() end
    assert.equal(3600, account.balance)
    for i = 1, 6 do
      handles[i] = threads.start(function()
        for _ = 1, 300 do account:locked_deposit(1) end
      end)
    end
    for _, handle in ipairs(handles) do handle:result() end
    assert.equal(5400, account.balance)
  end)

  it("come and go in all of them, each with one class", function()
    local Account = new_class()
    local t, made, handles = _thread.shared(), _thread.shared(), {}
    for i = 1, 8 do t[i] = _thread.shared(Account.new(i)) end
    for i = 1, 4 do
      handles[i] = threads.start(function()
        for round = 1, 200 do
          local k = (round * i) % 8 + 1
          local a, b = t[k], t[k % 8 + 1]
          if getmetatable(a) ~= getmetatable(b) then error "another class" end
          made[k] = _thread.shared({ balance = round }, getmetatable(a))
          if made[k].kind ~= "account" then error "another kind" end
          if round % 50 == 0 then
            a, b = nil, nil -- luacheck: ignore
            collectgarbage()
          end
        end
      end)
    end
    for _, handle in ipairs(handles) do handle:result() end
    for i = 1, 8 do assert.equal("account", made[i].kind) end
    for i = 1, 8 do assert.equal(Account, getmetatable(t[i])) end
  end)
end)

describe("The memory of shared objects", function()
  local function settle()
    repeat
      collectgarbage()
      collectgarbage()
    until _thread.collect().freed == 0
    return _thread.shared_memory()
  end

  local function make_some()
    local Account = new_class()
    local objects = {}
    for i = 1, 20 do objects[i] = _thread.shared(Account.new(i)) end
    objects[1].next, objects[2].next = objects[2], objects[1]
    call(function() return objects[1]:earn(1), objects[1].next.next.kind, objects[3].kind end)
    local cycle = {}
    cycle.__index = cycle
    local object = _thread.shared(nil, cycle)
    cycle.object = object
    function cycle.get() return object end
    object.other = _thread.shared(nil, cycle)
    assert(call(function() return object.other.get() == object.other.object end))
  end

  it("is given back, also that of cycles through a class", function()
    make_some()
    local before = settle()
    for _ = 1, 20 do make_some() end
    assert.equal(before, settle())
  end)

  it("holds a class once", function()
    local Account, objects = new_class(), {}
    Account.text = ("x"):rep(1000)
    local before = settle()
    for i = 1, 100 do objects[i] = _thread.shared(Account.new(i)) end
    assert.is_true(settle() - before < #objects * 1000)
  end)
end)
