-- Rules in C that can grow, and those for types of others: spec/support/crossing.c.
local _thread = require "lthread"
local child = require "fixtures.child"
local crossing = require "support.crossing"
local hosts = require "support.hosts"
local raised = require "support.raised"
local queue = require "lthread.queue"
local setups = require "support.setups"
local threads = require "support.threads"

setups.alone()
setups.quiet()

-- Puts a value into a queue and gets it again.
local function pass(value)
  local way = queue.SimpleQueue()
  way:put(value)
  return way:get()
end

-- A handle has what its thread has returned, and a thread that has ended may still have itself.
local function assert_no_tokens()
  assert.is_true(threads.eventually(function()
    collectgarbage()
    _thread.collect()
    return crossing.tokens() == 0
  end))
end

local function refuses(text, value)
  local e = raised(_thread.TypeError, pass, value)
  assert.truthy(e.message:find(text, 1, true), e.message)
end

describe("LTHREAD_TRANSFER2", function()
  it("lets userdata cross", function()
    local first, second = _thread.allocate_lock(), queue.Queue()
    local result, other = threads.call(function(pair)
      return crossing.objects(pair)
    end, crossing.pair(first, second))
    assert.is_true(rawequal(result, first) and rawequal(other, second))
    assert_no_tokens()
  end)

  it("works with the structure of an older header", function()
    local lock = _thread.allocate_lock()
    assert.is_true(rawequal(lock, (crossing.objects(pass(crossing.pair(lock, lock, true))))))
    assert_no_tokens()
  end)

  it("has cycles collected that lead through its tokens", function()
    local function make_cycles()
      local way = queue.Queue()
      way:put(crossing.pair(way, way))
      way:put { crossing.pair(way, _thread.shared { way }) }
    end
    make_cycles()
    assert.equal(2, crossing.tokens())
    assert_no_tokens()
  end)

  it("has nothing collected that a userdata still leads to", function()
    local pair
    do
      local way = queue.Queue()
      pair = crossing.pair(way, way)
      way:put(pair)
    end
    collectgarbage()
    collectgarbage()
    _thread.collect()
    local again = crossing.objects(pair):get()
    assert.is_true(rawequal(crossing.objects(again), (crossing.objects(pair))))
  end)

  it("refuses a structure that is none, by its path", function()
    local box = crossing.box(1)
    local metatable = debug.getmetatable(box)
    finally(function() metatable.__transfer2 = nil end)
    crossing.set_field(metatable, "short")
    refuses("cannot transfer a support.crossing.box userdata (message.a); the size of its "
      .. "lthread_Transfer2 is 3, not sizeof(lthread_Transfer2)", { a = box })
    crossing.set_field(metatable, "lacking")
    refuses("lacks send, receive or discard", box)
  end)

  it("tells by its name who has pushed nothing", function()
    local box = crossing.box(1)
    local metatable = debug.getmetatable(box)
    finally(function() metatable.__transfer2 = nil end)
    crossing.set_field(metatable, "silent")
    local e = raised(_thread.RuntimeError, pass, box)
    assert.equal("the transfer of a support.crossing.box has pushed 0 values, not 1", e.message)
    assert_no_tokens()
  end)
end)

describe("lthread_set_transfer", function()
  after_each(function() crossing.set_transfer "none" end)

  it("lets userdata of a type of others cross, in all threads, until it is taken back", function()
    local there, go = threads.held(), threads.held()
    local way = queue.SimpleQueue()
    local handle = threads.start(function()
      there:release()
      threads.await(go)
      way:put(crossing.box(7))
    end)
    assert.is_true(threads.await(there))
    refuses("cannot transfer a support.crossing.box userdata", crossing.box(5))
    assert.is_true(crossing.set_transfer "box")
    assert.equal(5, crossing.unbox(pass(crossing.box(5))))
    go:release()
    assert.equal(7, crossing.unbox(way:get()))
    assert.is_true(handle:join(threads.LONG))
    assert.is_true(crossing.set_transfer "none")
    refuses("cannot transfer a support.crossing.box userdata", crossing.box(5))
    assert_no_tokens()
  end)

  it("comes before what the metatable has, and the last one holds", function()
    local box = crossing.box(1)
    local metatable = debug.getmetatable(box)
    finally(function() metatable.__transfer2 = nil end)
    crossing.set_field(metatable, "silent")
    crossing.set_transfer "silent"
    crossing.set_transfer "box"
    assert.equal(1, crossing.unbox(pass(box)))
  end)

  it("is for the type, not for what only has its name", function()
    crossing.set_transfer "box"
    local other = crossing.other_box(1)
    local metatable = debug.getmetatable(other)
    finally(function() metatable.__name = nil end)
    metatable.__name = debug.getmetatable(crossing.box(1)).__name
    refuses("cannot transfer a support.crossing.box userdata", other)
  end)

  it("raises what is wrong with a rule", function()
    assert.truthy(raised(_thread.ValueError, crossing.set_transfer, "short").message:find(
      "the size of its lthread_Transfer2 is 3", 1, true))
    assert.truthy(raised(_thread.ValueError, crossing.set_transfer, "lacking").message:find(
      "lacks send, receive or discard", 1, true))
  end)

  it("holds for one runtime, for as long as that lasts", function()
    assert.equal("first, without a rule: is refused\nfirst: crosses\nsecond: is refused\n"
      .. "first, opened anew: is refused\nsecond, with a rule: crosses\n"
      .. "second, without it again: is refused\nstatus 0\n", hosts.run "rules")
  end)

  it("does nothing without lthread", function()
    assert.equal("false\ntrue\nstatus 0\n", child [[
      local crossing = require "support.crossing"
      print(crossing.set_transfer "box")
      require "lthread"
      print(crossing.set_transfer "box")
    ]])
  end)
end)

describe("lthread_set_transfer_at", function()
  it("is for a metatable, and goes along", function()
    local metatable = debug.getmetatable(crossing.other_box(1))
    refuses("cannot transfer a userdata", crossing.other_box(1))
    crossing.set_transfer_at(metatable, "other")
    finally(function() crossing.set_transfer_at(metatable, "none") end)
    local sum, more = threads.call(function(box)
      return crossing.unbox(box), crossing.other_box(crossing.unbox(box) + 1)
    end, crossing.other_box(2))
    assert.same({ 2, 3 }, { sum, crossing.unbox(more) })
    assert_no_tokens()
  end)

  it("takes only a table", function()
    raised(_thread.TypeError, crossing.set_transfer_at, 1, "other")
  end)
end)
