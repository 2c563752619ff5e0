local _thread = require "lthread"
local futures = require "lthread.futures"
local raised = require "support.raised"
local threads = require "support.threads"

describe("map of an executor", function()
  local pool

  before_each(function() pool = futures.ThreadPoolExecutor { max_workers = 2 } end)
  after_each(function() pool:shutdown() end)

  local function square(n) return n * n end

  local function collect(...)
    local list = {}
    for i, result in pool:map(...) do list[i] = result end
    return list
  end

  it("gives the place and the results of each item, in order", function()
    for _, options in ipairs { {}, { chunksize = 3 }, { buffersize = 1 }, { chunksize = 100 } } do
      local places, results = {}, {}
      for i, result in pool:map(square, { 1, 2, 3, 4, 5, 6, 7 }, options) do
        places[#places + 1], results[#results + 1] = i, result
      end
      assert.same({ 1, 2, 3, 4, 5, 6, 7 }, places)
      assert.same({ 1, 4, 9, 16, 25, 36, 49 }, results)
    end
    assert.same({}, collect(square, {}))
  end)

  it("gives several results, and none", function()
    local seen = {}
    for i, a, b, c in pool:map(function(n)
      if n == 1 then return nil elseif n == 2 then return 1, nil, 3 elseif n == 3 then return end
      return n
    end, { 1, 2, 3, 4 }, { chunksize = 4 }) do
      seen[i] = { a, b, c, n = 3 }
    end
    assert.same({ { n = 3 }, { 1, nil, 3, n = 3 }, { n = 3 }, { 4, n = 3 } }, seen)
  end)

  it("takes items from a function, at most as many ahead as it may", function()
    local given, most_ahead, taken = 0, 0, 0
    local function items()
      given = given + 1
      most_ahead = math.max(most_ahead, given - taken)
      return given <= 50 and given or nil
    end
    for i, result in pool:map(square, items, { chunksize = 2, buffersize = 3 }) do
      taken = i
      assert.equal(i * i, result)
    end
    assert.equal(50, taken)
    assert.is_true(most_ahead <= 3 * 2 + 2, most_ahead .. " ahead")
  end)

  it("gives them as they are done, with their places, where order does not matter", function()
    local event = _thread.Event()
    local order = {}
    for i, result in pool:map(function(n)
      if n == 1 then event:wait() end
      return n * 10
    end, { 1, 2, 3 }, { ordered = false }) do
      assert.equal(i * 10, result)
      order[#order + 1] = i
      if #order == 2 then event:set() end
    end
    assert.equal(1, order[3])
  end)

  it("gives what came before an error in its chunk, then raises it", function()
    local given = {}
    local ok, problem = pcall(function()
      for _, result in pool:map(function(n)
        if n == 3 then error { code = n } end
        return n
      end, { 1, 2, 3, 4, 5, 6 }, { chunksize = 4 }) do
        given[#given + 1] = result
      end
    end)
    assert.is_false(ok)
    assert.same({ 1, 2 }, given)
    assert.equal(3, problem.code)
  end)

  it("cancels what has not begun when the loop is left", function()
    local box, event = _thread.shared { runs = 0 }, _thread.Event()
    for i in pool:map(function(n)
      _thread.add(box, "runs", 1)
      if n > 1 then event:wait() end
    end, (function() local t = {} for i = 1, 100 do t[i] = i end return t end)()) do
      if i == 1 then break end
    end
    event:set()
    pool:shutdown()
    assert.is_true(box.runs < 10, box.runs .. " were run")
  end)

  it("raises TimeoutError when its time is up", function()
    local event = _thread.Event()
    for _, ordered in ipairs { true, false } do
      raised(futures.TimeoutError, function()
        for _ in pool:map(function() event:wait() end, { 1, 2 },
          { timeout = 0.02, ordered = ordered }) do
          error "given"
        end
      end)
    end
    event:set()
  end)

  it("says what is wrong with its arguments", function()
    raised(_thread.TypeError, pool.map, pool, 1, {})
    raised(_thread.TypeError, pool.map, pool, square, 1)
    raised(_thread.ValueError, pool.map, pool, square, {}, { chunksize = 0 })
    raised(_thread.TypeError, pool.map, pool, square, {}, { chunk = 1 })
    raised(_thread.TypeError, pool.map, pool, square, {}, { timeout = "long" })
    pool:shutdown()
    raised(_thread.RuntimeError, pool.map, pool, square, { 1 })
  end)

  it("is whole over many items and threads", function()
    local wide = futures.ThreadPoolExecutor { max_workers = 4 }
    local count, sum = 0, 0
    for i, result in wide:map(square, function()
      count = count + 1
      return count <= 3000 and count or nil
    end, { chunksize = 7, ordered = false }) do
      assert.equal(i * i, result)
      sum = sum + i
    end
    assert.equal(3000 * 3001 // 2, sum)
    wide:shutdown()
  end)
end)

describe("waiting for several futures", function()
  local function pending(count)
    local list = {}
    for i = 1, count do list[i] = futures.Future() end
    return list
  end

  it("as_completed gives each once, as it is done", function()
    local list = pending(4)
    list[3]:set_result(3)
    list[5] = list[3]
    local function finish_others()
      list[1]:cancel()
      list[4]:set_exception "bad"
      list[2]:set_result(2)
    end
    local seen, ender = {}, nil
    for future in futures.as_completed(list) do
      assert.is_true(future:done())
      if not ender then
        assert.equal(list[3], future)
        ender = threads.start(finish_others)
      end
      seen[future] = (seen[future] or 0) + 1
    end
    ender:join()
    for i = 1, 4 do assert.equal(1, seen[list[i]]) end
  end)

  it("as_completed raises TimeoutError with what is left", function()
    local list = pending(3)
    list[2]:set_result()
    local given = 0
    local e = raised(_thread.TimeoutError, function()
      for _ in futures.as_completed(list, 0.02) do given = given + 1 end
    end)
    assert.equal(1, given)
    assert.equal("2 (of 3) futures unfinished", e.message)
    raised(_thread.TypeError, futures.as_completed, { 1 })
    raised(_thread.TypeError, futures.as_completed, futures.Future())
  end)

  it("wait gives two lists, in the order that was given", function()
    local list = pending(3)
    list[2]:set_result()
    local done, not_done = futures.wait(list, 0)
    assert.same({ list[2] }, done)
    assert.same({ list[1], list[3] }, not_done)
    list[1]:set_result()
    list[3]:cancel()
    done, not_done = futures.wait(list)
    assert.equal(3, #done)
    assert.equal(0, #not_done)
    assert.same({}, (futures.wait {}))
  end)

  it("wait returns at the first that is done, or has failed", function()
    local list = pending(3)
    local waiter = threads.start(function()
      return #futures.wait(list, nil, futures.FIRST_COMPLETED)
    end)
    assert.is_true(threads.await_blocked(waiter.ident))
    list[1]:set_result()
    assert.equal(1, (threads.result(waiter)))
    waiter = threads.start(function()
      return #futures.wait(list, nil, futures.FIRST_EXCEPTION)
    end)
    assert.is_true(threads.await_blocked(waiter.ident))
    list[2]:set_exception "bad"
    assert.equal(2, (threads.result(waiter)))
    raised(_thread.ValueError, futures.wait, list, 0, "SOON")
  end)
end)
