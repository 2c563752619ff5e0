-- Handlers that close and finalize are not interrupted.
local _thread = require "lthread"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"
local held, await, start, ended_by = threads.held, threads.await, threads.start, threads.ended_by

setups.alone()
setups.quiet()

-- Ways to get into a handler that must finish. Each calls body() in it.
local closers = {
  ["a __close handler at the end of a scope"] = function(body)
    do local _ <close> = setmetatable({}, { __close = body }) end
  end,
  ["a __close handler at a break"] = function(body)
    while true do
      local _ <close> = setmetatable({}, { __close = body })
      if body then break end
    end
  end,
  ["a __close handler at a return"] = function(body)
    local function f()
      local _ <close> = setmetatable({}, { __close = body })
      return 1
    end
    f()
  end,
  ["the __close handler of a generic for"] = function(body)
    for _ in next, {}, nil, setmetatable({}, { __close = body }) do error "not reached" end
  end,
  ["a __close handler after an error in pcall"] = function(body)
    pcall(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end)
  end,
  ["a __close handler after an error in pcall with arguments"] = function(body)
    pcall(function()
      local _ <close> = setmetatable({}, { __close = body })
      local _ = nil + 1
    end, 1, 2, 3)
  end,
  ["a __close handler after an error in xpcall"] = function(body)
    xpcall(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end, function(e) return e end, 1)
  end,
  ["a __close handler after an error in pcall in a coroutine"] = function(body)
    coroutine.wrap(function()
      pcall(function()
        local _ <close> = setmetatable({}, { __close = body })
        error "x"
      end)
    end)()
  end,
  ["a __close handler of a coroutine that ends"] = function(body)
    coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = body })
    end)()
  end,
  ["a __close handler in coroutine.close"] = function(body)
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = body })
      coroutine.yield()
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end,
  ["a __close handler in coroutine.close after an error"] = function(body)
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end)
    coroutine.resume(co)
    coroutine.close(co)
  end,
  ["a __close handler of a wrapped coroutine that fails"] = function(body)
    pcall(coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = body })
      error "x"
    end))
  end,
  ["a __gc handler"] = function(body)
    setmetatable({}, { __gc = body })
    collectgarbage()
  end,
  ["a coroutine resumed by a __close handler"] = function(body)
    do local _ <close> = setmetatable({}, { __close = function() coroutine.wrap(body)() end }) end
  end,
  ["a function called by pcall in a __close handler"] = function(body)
    do local _ <close> = setmetatable({}, { __close = function() assert(pcall(body)) end }) end
  end,
  ["a handler within a handler"] = function(body)
    do
      local _ <close> = setmetatable({}, { __close = function()
        do local _ <close> = setmetatable({}, { __close = body }) end
      end })
    end
  end,
}

-- What it does there when the interrupt comes: 'at' says so, 'go' lets it go on.
local inside = {
  ["computes"] = function(there, go)
    there:release()
    while not go:acquire(false) do end
    for _ = 1, 10000 do end
  end,
  ["waits"] = function(there, go)
    there:release()
    go:acquire()
    for _ = 1, 10000 do end
  end,
  ["catches errors"] = function(there, go)
    there:release()
    repeat
      pcall(error, "x")
    until go:acquire(false)
  end,
}

describe("an interrupt", function()
  for where, enter in pairs(closers) do
    for what, body in pairs(inside) do
      it("lets finish " .. where .. " that " .. what, function()
        local there, go = held(), held()
        local handle = start(function()
          local finished = false
          local ok, e = pcall(function()
            enter(function()
              body(there, go)
              finished = true
            end)
            while true do end
          end)
          return finished, ok, tostring(e)
        end)
        assert.is_true(await(there))
        assert.is_true(handle:interrupt(_thread.ValueError))
        go:release()
        local finished, ok, e = threads.result(handle)
        assert.is_true(finished, e)
        assert.is_false(ok)
        assert.truthy(e:find("ValueError", 1, true), e)
      end)
    end
  end

  for what, body in pairs(inside) do
    it("lets finish a handler that " .. what .. " while an error ends the thread", function()
      local there, go, finished = held(), held(), held()
      local handle = start(function()
        local _ <close> = setmetatable({}, { __close = function()
          body(there, go)
          finished:release()
        end })
        error(_thread.RuntimeError("first"))
      end)
      assert.is_true(await(there))
      handle:interrupt(_thread.ValueError)
      go:release()
      assert.is_true(handle:join(threads.LONG))
      assert.is_false(finished:locked())
    end)
  end

  it("lets all handlers finish that it makes run itself", function()
    local there, go = held(), held()
    local handle = start(function()
      local order = {}
      local function closer(name, body)
        return setmetatable({}, { __close = function()
          body()
          order[#order + 1] = name
        end })
      end
      local ok = pcall(function()
        local _ <close> = closer("outer", function() for _ = 1, 10000 do end end)
        local _ <close> = closer("inner", function()
          there:release()
          go:acquire()
        end)
        there:release()
        while true do end
      end)
      return ok, order
    end)
    assert.is_true(await(there))
    handle:interrupt(_thread.ValueError)
    assert.is_true(await(there))
    handle:interrupt(_thread.TypeError)
    go:release()
    -- The second one comes after pcall has returned, and ends the thread.
    ended_by(_thread.TypeError, handle)
  end)

  -- The deeper the stack, the longer it takes to find out that a handler must finish first: time
  -- for the lock to be released, so that the wait ends without another park.
  it("that has to wait for a handler ends the next wait", function()
    local function wait_in_handler(first, second, there)
      local function deep(levels)
        if levels == 0 then return first:acquire() end
        local result = deep(levels - 1)
        return result
      end
      do
        local _ <close> = setmetatable({}, { __close = function()
          there:release()
          deep(900)
        end })
      end
      second:acquire()
    end
    for round = 1, 60 do
      local first, second, there = held(), held(), held()
      local handle = start(wait_in_handler, first, second, there)
      assert.is_true(await(there))
      assert.is_true(threads.await_blocked(handle.ident))
      assert.is_true(handle:interrupt(_thread.ValueError))
      local time = _thread.monotonic() + round / 40000
      while _thread.monotonic() < time do end
      first:release()
      local broken = handle:join(threads.LONG)
      second:release()
      assert.is_true(broken, "the wait was not broken")
      ended_by(_thread.ValueError, handle)
    end
  end)

  it("is raised again and again when the main state closes, also in a handler", function()
    local text = child [[
      local _thread = require "lthread"
      local there = _thread.allocate_lock()
      local never = _thread.allocate_lock()
      there:acquire()
      never:acquire()
      for _, body in ipairs {
        function() never:acquire() end,
        function() while true do end end,
        function() while true do pcall(never.acquire, never) end end,
      } do
        _thread.start_new_thread(function()
          local ended <const> = setmetatable({}, {__gc = function() print "ended" end})
          do local _ <close> = setmetatable({}, {__close = function()
            there:release()
            body()
          end}) end
        end, {})
        there:acquire()
      end
    ]]
    assert.equal(("ended\n"):rep(3) .. "status 0\n", text)
  end)
end)
