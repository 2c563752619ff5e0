-- A long string is not copied out of the state that sends it, but lent to the one that receives it.
local _thread = require "lthread"
local queue = require "lthread.queue"
local child = require "fixtures.child"
local threads = require "support.threads"

local MEGABYTE = 1 << 20

local bytes = {}
for i = 1, 3 * 1361 do
  bytes[i] = string.char(i % 3 == 0 and 0 or i * i % 256)
end
local block = table.concat(bytes):sub(1, 4088)

-- Bytes of all kinds, zeros among them, and no two pieces alike.
local function pattern(length, seed)
  local pieces = {}
  for i = 1, length // 4096 + 1 do
    pieces[i] = string.pack("<I8", i * 0x9E3779B97F4A7C15 + seed) .. block
  end
  return table.concat(pieces):sub(1, length)
end

local function kilobytes()
  for _ = 1, 3 do
    collectgarbage()
  end
  return collectgarbage "count"
end

local function echo(...)
  return ...
end

describe("a long string arrives bit for bit", function()
  for _, length in ipairs { 4095, 4096, 32767, 32768, 65536, MEGABYTE + 1, 10 * MEGABYTE } do
    it("with " .. length .. " bytes", function()
      local text = pattern(length, length)
      local q = queue.SimpleQueue()
      q:put(text)
      q:put { text, key = { text } }
      q:put_many { text, text }
      assert.is_true(text == q:get())
      local list = q:get()
      assert.is_true(list[1] == text and list.key[1] == text)
      assert.is_true(text == q:get_many(1)[1])
      assert.is_true(text == q:get())
      assert.is_true(text == threads.call(echo, text))
      assert.is_true(text == threads.call(function() return text end))
      local first, second = threads.call(echo, { text }, text)
      assert.is_true(first[1] == text and second == text)
    end)
  end

  it("in zeros only", function()
    local text = ("\0"):rep(MEGABYTE)
    assert.is_true(text == threads.call(echo, text))
  end)

  it("as a message and as its priority", function()
    local q = queue.PriorityQueue()
    local late, early = "b" .. pattern(MEGABYTE, 1), "a" .. pattern(MEGABYTE, 2)
    q:put(late)
    q:put { early }
    q:put { late, early }
    assert.is_true(q:get()[1] == early)
    assert.is_true(q:get() == late)
    assert.is_true(q:get()[2] == early)
  end)

  it("in each of many threads", function()
    local text, handles = pattern(MEGABYTE, 3), {}
    local q = queue.SimpleQueue()
    for i = 1, 8 do
      handles[i] = threads.start(function(argument)
        for _ = 1, 10 do
          if q:get() ~= argument then
            return false
          end
        end
        return true
      end, text)
    end
    for _ = 1, 80 do
      q:put(text)
    end
    for _, handle in ipairs(handles) do
      assert.is_true(threads.result(handle))
    end
  end)

  it("in a shared table and as a result, which last", function()
    local text = pattern(MEGABYTE, 4)
    local handle = threads.start(function()
      _thread.globals.text = text
      _thread.globals.f = function() return text end
      return text
    end)
    handle:join()
    assert.is_true(handle:result() == text and handle:result() == text)
    assert.is_true(_thread.globals.text == text and _thread.globals.f() == text)
    _thread.globals.text, _thread.globals.f = nil, nil
  end)
end)

describe("a sender may end", function()
  it("while its messages are in a queue", function()
    local q = queue.SimpleQueue()
    threads.call(function()
      for i = 1, 8 do
        q:put(pattern(MEGABYTE, i))
        q:put { pattern(MEGABYTE, -i) }
      end
    end)
    for i = 1, 8 do
      assert.is_true(q:get() == pattern(MEGABYTE, i))
      assert.is_true(q:get()[1] == pattern(MEGABYTE, -i))
    end
  end)

  it("before the thread that it started begins", function()
    local q = queue.SimpleQueue()
    threads.call(function()
      for i = 1, 20 do
        _thread.start_new_thread(function(text) q:put { i, text } end, { pattern(100000, i) })
      end
    end)
    for _ = 1, 20 do
      local message = q:get()
      assert.is_true(message[2] == pattern(100000, message[1]))
    end
  end)

  it("while another thread receives", function()
    local q = queue.SimpleQueue()
    local text = pattern(200000, 5)
    for round = 1, 200 do
      local sender = threads.start(function()
        for i = 1, 4 do
          q:put(text:sub(i + round))
        end
      end)
      for i = 1, 4 do
        assert.is_true(q:get() == text:sub(i + round))
      end
      sender:join()
    end
  end)

  it("with a finalizer that sends", function()
    local q = queue.SimpleQueue()
    threads.call(function()
      local function send()
        q:put(pattern(MEGABYTE, 6))
        setmetatable({}, { __gc = function() q:put "never" end })
      end
      FIRST, SECOND = setmetatable({}, { __gc = send }), setmetatable({}, { __gc = send }) -- luacheck: ignore
    end)
    for _ = 1, 2 do
      assert.is_true(q:get() == pattern(MEGABYTE, 6))
    end
  end)

  for what, last in pairs { ["by its end"] = "", ["by os.exit"] = "os.exit(0, true)" } do
    it("when it is the main state, " .. what, function()
      local output = child([[
        local _thread = require "lthread"
        local queue = require "lthread.queue"
        local text, q, never = ("main"):rep(100000), queue.SimpleQueue(), queue.SimpleQueue()
        local ready = _thread.allocate_lock()
        ready:acquire()
        _thread.start_new_thread(function()
          local _ <close> = setmetatable({}, { __close = function()
            io.write(tostring(q:get() == ("main"):rep(100000)), "\n")
          end })
          ready:release()
          never:get()
        end, {})
        ready:acquire()
        q:put(text)
        q:put(text)
        q:put { text } -- outlives the state: in a cycle, and in the shared globals
        q:put(q)
        local left = queue.SimpleQueue()
        left:put(text)
        _thread.globals.left = left
        LAST = setmetatable({}, { __gc = function() left:put(text .. "more") end })
      ]] .. last)
      assert.equal("true\nstatus 0\n", output)
    end)
  end
end)

describe("the memory of a string", function()
  it("stays with its sender until it is received, and no longer", function()
    local q = queue.SimpleQueue()
    local before = kilobytes()
    for i = 1, 8 do
      q:put(pattern(MEGABYTE, i))
      q:put { pattern(MEGABYTE, i) }
    end
    assert.is_true(kilobytes() - before > 16 * 1024)
    threads.call(function()
      for _ = 1, 16 do
        q:get()
      end
    end)
    assert.is_true(kilobytes() - before < 1024)
  end)

  it("comes back in generational mode", function()
    local before, after = threads.call(function()
      collectgarbage "generational"
      local q, text = queue.SimpleQueue(), pattern(MEGABYTE, 7)
      local first = kilobytes()
      for i = 1, 16 do
        q:put(text .. i)
        collectgarbage "step"
      end
      q:get_many(16)
      return first, kilobytes()
    end)
    assert.is_true(after - before < 1024)
  end)

  it("comes back when the messages are dropped", function()
    local before = kilobytes()
    local q = queue.Queue(4)
    for i = 1, 4 do
      q:put { pattern(MEGABYTE, i) }
    end
    assert.is_false(pcall(q.put, q, pattern(MEGABYTE, 5), false))
    q:shutdown(true)
    assert.is_false(pcall(q.put, q, pattern(MEGABYTE, 6)))
    q = queue.SimpleQueue()
    q:put(pattern(MEGABYTE, 7))
    q = nil -- luacheck: ignore
    assert.is_true(kilobytes() - before < 1024)
  end)

  it("comes back when the message is refused", function()
    local q = queue.SimpleQueue()
    local before = kilobytes()
    threads.raises(_thread.TypeError, "cannot transfer a coroutine",
      q.put, q, { pattern(MEGABYTE, 8), coroutine.create(print) })
    threads.raises(_thread.TypeError, "cannot transfer a coroutine",
      threads.start, echo, pattern(MEGABYTE, 8), coroutine.create(print))
    assert.is_true(kilobytes() - before < 1024)
  end)

  it("does not pile up in a state that sends again and again", function()
    local peak = threads.call(function()
      local q, most = queue.SimpleQueue(), 0
      for i = 1, 200 do
        q:put(("%4d"):format(i):rep(MEGABYTE // 4))
        q:get()
        most = math.max(most, collectgarbage "count")
      end
      return most
    end)
    assert.is_true(peak < 50 * 1024)
  end)
end)

describe("the collector of a receiver", function()
  local function receive_many(prepare)
    local q, text = queue.SimpleQueue(), pattern(MEGABYTE, 9)
    local receiver = threads.start(function()
      prepare()
      local objects, most, finalized = {}, 0, false
      for i = 1, 200000 do
        objects[i] = { i }
      end
      setmetatable({}, { __gc = function() finalized = true end })
      for _ = 1, 200 do
        q:get()
        most = math.max(most, collectgarbage "count")
      end
      return collectgarbage "isrunning", finalized and #objects > 0, most
    end)
    for _ = 1, 200 do
      q:put(text)
    end
    return threads.result(receiver)
  end

  for _, mode in ipairs { "incremental", "generational" } do
    it("keeps up with what it gets, in " .. mode .. " mode", function()
      local running, finalized, most = receive_many(function() collectgarbage(mode) end)
      assert.is_true(running)
      assert.is_true(finalized)
      assert.is_true(most < 100 * 1024)
    end)
  end

  it("stays stopped where it is", function()
    local running, finalized, most = receive_many(function() collectgarbage "stop" end)
    assert.is_false(running)
    assert.is_false(finalized)
    assert.is_true(most > 200 * 1024)
  end)
end)

describe("while a string is copied no code runs that may wait for its sender:", function()
  -- One that puts a string and ends when it is told to; and what tells it and waits for it.
  local function start_sender(q, seed)
    local go = threads.held()
    local sender = threads.start(function()
      q:put(pattern(MEGABYTE, seed))
      go:acquire()
    end)
    return sender, function()
      if go:locked() then
        go:release()
      end
      return sender:join(threads.LONG)
    end
  end

  it("no finalizer", function()
    local q, stuck, finalized = queue.SimpleQueue(), false, 0
    for round = 1, 50 do
      local sender, let_end = start_sender(q, round)
      while q:empty() do
        _thread.sleep(0.0001)
      end
      for _ = 1, 20 do
        setmetatable({}, { __gc = function()
          finalized = finalized + 1
          stuck = stuck or not let_end()
        end })
      end
      assert.is_true(q:get() == pattern(MEGABYTE, round))
      assert.is_false(stuck)
      let_end()
      sender:join()
    end
    assert.is_true(finalized > 0)
  end)

  it("no hook", function()
    local q, reached, count = queue.SimpleQueue(), true, 0
    while reached do
      count, reached = count + 1, false
      local sender, let_end = start_sender(q, count)
      while q:empty() do
        _thread.sleep(0.0001)
      end
      local all, left = true, count
      debug.sethook(function()
        left = left - 1
        if left == 0 then
          reached, all = true, let_end()
        end
      end, "cr")
      local text = q:get()
      debug.sethook()
      let_end()
      assert.is_true(all)
      assert.is_true(text == pattern(MEGABYTE, count))
      sender:join()
    end
    assert.is_true(count > 4)
  end)
end)
