-- In which order interrupts come that are pending together.
local _thread = require "lthread"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start = threads.held, threads.await, threads.start

setups.alone()
setups.quiet()

-- A thread within a __close handler, so that requests pile up; then it collects 'count' of them.
-- Message handlers collect them, since one may come as soon as a pcall has caught another.
local function collect(count, there, go)
  local order = {}
  local function keep(e)
    order[#order + 1] = e
  end
  local function nest(depth)
    if depth > 0 then
      xpcall(nest, keep, depth - 1)
    else
      local _ <close> = setmetatable({}, { __close = function()
        there:release()
        go:acquire()
      end })
    end
    while #order < count do end
  end
  xpcall(nest, keep, count)
  for i, e in ipairs(order) do
    order[i] = e.args[1] or e.__class__.__name__
  end
  return order
end

local function order_of(count, requests)
  local there, go = held(), held()
  local handle = start(collect, count, there, go)
  assert.is_true(await(there))
  for _, request in ipairs(requests) do
    assert.is_true(handle:interrupt(request))
  end
  go:release()
  assert.is_true(handle:join(threads.LONG))
  return handle:result()
end

describe("interrupts that are pending together", function()
  local Exit = _thread.SystemExit:subclass "Exit"
  local Key = _thread.KeyboardInterrupt:subclass "Key"

  it("come by rank: SystemExit, KeyboardInterrupt, the others", function()
    assert.same({ "SystemExit", "KeyboardInterrupt", "ValueError" }, order_of(3, {
      _thread.ValueError, _thread.KeyboardInterrupt, _thread.SystemExit }))
    assert.same({ "SystemExit", "KeyboardInterrupt", "ValueError" }, order_of(3, {
      _thread.SystemExit, _thread.KeyboardInterrupt, _thread.ValueError }))
    assert.same({ "Exit", "Key", "BaseException" }, order_of(3, {
      _thread.BaseException, Key, Exit }))
  end)

  it("come within a rank in the order in which they came", function()
    assert.same({ "Exit", "SystemExit", "Key", "KeyboardInterrupt", "ValueError", "TypeError" },
      order_of(6, { _thread.ValueError, Key, Exit, _thread.TypeError, _thread.SystemExit,
        _thread.KeyboardInterrupt }))
    assert.same({ 1, 2, 3, 4 }, order_of(4, { _thread.ValueError(1), _thread.TypeError(2),
      _thread.ValueError(3), _thread.TypeError(4) }))
  end)

  it("merge when they are the same class, but not objects", function()
    assert.same({ "SystemExit", "ValueError", "TypeError" }, order_of(3, {
      _thread.ValueError, _thread.ValueError, _thread.SystemExit, _thread.TypeError,
      _thread.ValueError, _thread.SystemExit }))
    local same = _thread.ValueError("twice")
    assert.same({ "twice", "twice", "ValueError" }, order_of(3, { same, same, _thread.ValueError }))
  end)

  it("of one class are one for each time that it was delivered", function()
    assert.same({ "ValueError" }, order_of(1, { _thread.ValueError, _thread.ValueError }))
  end)
end)
