local _thread = require "lthread"
local threads = require "support.threads"
local raised = require "support.raised"

describe("a generator", function()
  local function count_to(n)
    for i = 1, n do coroutine.yield(i, i * i) end
  end

  it("gives what its function yields, in a thread of its own", function()
    local seen = {}
    for i, square in _thread.generator(count_to, { args = { 100 }, buffer = 3 }) do
      seen[i] = square
    end
    assert.equal(100, #seen)
    assert.equal(10000, seen[100])
    local ident
    for other in _thread.generator(function()
      coroutine.yield(require "lthread".get_ident())
    end) do ident = other end
    assert.not_equal(_thread.get_ident(), ident)
  end)

  it("ends where the first value is nil, and gives others that are", function()
    local list = {}
    for a, b, c in _thread.generator(function()
      coroutine.yield(1, nil, 3)
      coroutine.yield(nil, 2)
      coroutine.yield(3)
    end) do list[#list + 1] = { a, b, c } end
    assert.same({ { 1, nil, 3 } }, list)
    for _ in _thread.generator(function() end) do error "a value" end
  end)

  it("runs at most as far ahead as it may", function()
    local box = _thread.shared { made = 0 }
    local taken = 0
    for i in _thread.generator(function()
      for n = 1, 50 do
        box.made = n
        coroutine.yield(n)
      end
    end, { buffer = 2 }) do
      taken = i
      assert.is_true(box.made <= taken + 3, box.made .. " made, " .. taken .. " taken")
    end
    assert.equal(50, taken)
  end)

  it("raises what its function raises, behind the values before it", function()
    local seen = {}
    local e = raised(_thread.ValueError, function()
      for i in _thread.generator(function()
        local lthread = require "lthread"
        coroutine.yield(1)
        coroutine.yield(2)
        error(lthread.ValueError "three")
      end) do seen[#seen + 1] = i end
    end)
    assert.equal("three", e.message)
    assert.same({ 1, 2 }, seen)
  end)

  it("interrupts its thread when the loop is left, or it is closed or collected", function()
    local before = _thread._count()
    local box = _thread.shared { closed = 0 }
    local function endless()
      local _ <close> = setmetatable({}, { __close = function() _thread.add(box, "closed", 1) end })
      while true do coroutine.yield(1) end
    end
    for _ in _thread.generator(endless) do
      if box.closed == 0 then break end
    end
    local generator = _thread.generator(endless)
    assert.equal(1, generator())
    generator:close()
    assert.is_nil(generator())
    _thread.generator(endless)()
    assert.is_true(threads.eventually(function()
      collectgarbage()
      return _thread._count() == before and box.closed == 3
    end))
  end)

  it("says what is wrong with its arguments", function()
    raised(_thread.TypeError, _thread.generator)
    raised(_thread.ValueError, _thread.generator, count_to, { buffer = 0 })
    raised(_thread.TypeError, _thread.generator, count_to, { arguments = {} })
    raised(_thread.TypeError, _thread.generator, count_to, { args = { coroutine.create(print) } })
  end)
end)
