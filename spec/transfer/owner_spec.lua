-- A table whose metatable has __gc or __close owns something: it is not copied in silence.
local _thread = require "lthread"
local queue = require "lthread.queue"
local transfers = require "support.transfers"
local threads = require "support.threads"
local call, refuses = transfers.call, transfers.refuses

transfers.clean_up()

local function nothing() end

local advice = "; what it owns would be given back twice; "
  .. "_thread.register_transfer says how it crosses, _thread.per_thread makes one in each thread"

local function has(field, path)
  return "cannot transfer a table whose metatable has " .. field .. " (" .. path .. ")" .. advice
end

describe("a table whose metatable has __gc", function()
  local given_back
  local Owner = {}
  Owner.__index = Owner
  function Owner.__gc() given_back = given_back + 1 end

  local function owner()
    return setmetatable({ fd = 7 }, Owner)
  end

  before_each(function()
    collectgarbage()
    given_back = 0
  end)

  it("is refused wherever it is met, with the path and the way out", function()
    refuses(has("__gc", "args[1]"), nothing, owner())
    refuses(has("__gc", "args[1].pool[2].of"), nothing, { pool = { 1, { of = owner() } } })
    refuses(has("__gc", "args[1]'s key [table]"), nothing, { [owner()] = true })
    refuses(has("__gc", "args[1]'s metatable.default"), nothing,
      setmetatable({}, { default = owner() }))
    refuses(has("__gc", "args[1]'s metatable"), nothing, setmetatable({}, owner()))
    local connection = owner()
    refuses(has("__gc", "function's upvalue connection"), function() return connection end)
    transfers.with_global("lt_spec_connection", connection)
    refuses(has("__gc", "function's global lt_spec_connection"),
      load "return lt_spec_connection.fd")
  end)

  it("gives back once what it owns", function()
    local object = owner()
    assert.is_false(pcall(threads.call, function(o) return o.fd end, object))
    assert.equal(7, object.fd)
    object = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(1, given_back)
  end)

  it("is refused by a queue, a shared table and an exception hook", function()
    local q = queue.Queue()
    threads.raises(_thread.TypeError, has("__gc", "message"), q.put, q, owner())
    threads.raises(_thread.TypeError, has("__gc", "list[2]"), q.put_many, q, { 1, owner() })
    assert.is_true(q:empty())
    local shared = _thread.shared {}
    threads.raises(_thread.TypeError, has("__gc", "value"), function() shared.x = owner() end)
    threads.raises(_thread.TypeError, has("__gc", "value.x"), function()
      shared.x = { x = owner() }
    end)
    threads.raises(_thread.TypeError, has("__gc", "value.x"), _thread.shared, { x = owner() })
    assert.is_nil(shared.x)
    local object = owner()
    threads.raises(_thread.TypeError, has("__gc", "excepthook's upvalue object"),
      _thread.set_excepthook, function() return object end)
  end)

  it("is refused as a result and as an error", function()
    local function make(fails)
      local object = setmetatable({}, { __gc = function() end })
      if fails then
        error(object)
      end
      return object
    end
    threads.quiet(finally)
    threads.raises(_thread.TypeError, has("__gc", "result[1]"), threads.call, make)
    threads.raises(_thread.TypeError, has("__gc", "error"), threads.call, make, true)
  end)

  it("is refused though many of another class came before it", function()
    local Plain, list = {}, {}
    for i = 1, 100 do
      list[i] = setmetatable({}, Plain)
    end
    list[101] = owner()
    refuses(has("__gc", "args[1][101]"), nothing, list)
  end)

  it("is refused also where the finalizer is still to come", function()
    refuses(has("__gc", "args[1]"), nothing, setmetatable({}, { __gc = true }))
  end)

  it("is one that Lua would finalize: no other is refused", function()
    local Base = { __gc = nothing }
    Base.__index = Base
    local Derived = setmetatable({}, { __index = Base })
    Derived.__index = Derived
    assert.equal(1, call(function(o) return o.x end, setmetatable({ x = 1 }, { __index = Base })))
    assert.equal(2, call(function(o) return o.x end, setmetatable({ x = 2 }, Derived)))
    assert.equal(3, call(function(o) return o.x end, setmetatable({ x = 3 }, { __gc = false })))
    local behind = setmetatable({}, { __index = function(_, name) return name end })
    assert.equal(4, call(function(o) return o.x end, setmetatable({ x = 4 }, behind)))
  end)
end)

describe("a class with __gc", function()
  it("crosses, for it is no object: what is made of it in a thread belongs to that", function()
    local Owner = {}
    Owner.__index = Owner
    function Owner:__gc() _thread.add(self.count, "n", 1) end
    function Owner.new(count) return setmetatable({ count = count }, Owner) end
    local count = _thread.shared { n = 0 }
    local own = { Owner.new(count) }
    assert.equal(count, own[1].count)
    call(function(made) Owner.new(made) end, count)
    assert.equal(1, count.n)
    own[1] = nil
    collectgarbage()
    collectgarbage()
    assert.equal(2, count.n)
  end)
end)

describe("an object with __gc in a module", function()
  it("goes by name, so each thread has its own", function()
    transfers.new_module("lt_spec.owners", function()
      return { object = setmetatable({ made = true }, { __gc = function() end }) }
    end)
    local object = require "lt_spec.owners".object
    assert.is_true(call(function(o) return o == require "lt_spec.owners".object end, object))
  end)
end)

describe("a table whose metatable has __close", function()
  it("is refused", function()
    local guard = setmetatable({}, { __close = nothing })
    refuses(has("__close", "args[1]"), nothing, guard)
    refuses(has("__close", "function's upvalue guard"), function() return guard end)
  end)

  it("is refused as the variable of a function that is to be closed here", function()
    local closed = 0
    do
      local guard <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      refuses(has("__close", "function's upvalue guard"), function() return guard end)
      assert.equal(0, closed)
    end
    assert.equal(1, closed)
  end)
end)
