-- Sockets of LuaSocket in several threads: copied, moved, and no descriptor left behind.
local _thread = require "lthread"
local queue = require "lthread.queue"
local socket = require "socket"
local unix = require "socket.unix"
local transfer = require "lthread.transfer.socket"
local child = require "fixtures.child"
local threads = require "support.threads"
local call = threads.call

local function nothing() end

local open -- what a spec has opened

local function opened(object)
  open[#open + 1] = object
  return object
end

local function listening()
  return opened(assert(socket.bind("127.0.0.1", 0)))
end

-- Two ends of one connection.
local function connected(server)
  local client = opened(assert(socket.connect("127.0.0.1", (select(2, server:getsockname())))))
  client:settimeout(threads.LONG)
  local other = opened(assert(server:accept()))
  other:settimeout(threads.LONG)
  return client, other
end

local function pair()
  return connected(listening())
end

-- How many descriptors of the process are sockets; nil where the system doesn't tell.
local function count()
  collectgarbage()
  collectgarbage()
  if not io.open "/proc/self/fd/0" then
    return nil
  end
  local pid = assert(io.open "/proc/self/stat"):read "n"
  local list <close> = io.popen("ls -l /proc/" .. pid .. "/fd 2>/dev/null")
  local found = 0
  for line in list:lines() do
    found = found + (line:find "socket:" and 1 or 0)
  end
  return found
end

-- Nothing is to be left of what f does.
local function leaves_nothing(f)
  local before = count()
  f()
  assert.is_true(threads.eventually(function() return count() == before end))
end

-- Whether the other side is closed.
local function at_end(object)
  return select(2, object:receive()) == "closed"
end

local function is_closed(object)
  return object:getfd() == -1
end

before_each(function() open = {} end)

after_each(function()
  for _, object in ipairs(open) do
    object:close()
  end
end)

describe("a socket", function()
  it("is the same connection in a thread, and both go on using theirs", function()
    local a, b = pair()
    call(function(s) s:send "from the thread\n" s:close() end, a)
    a:send "from here\n"
    assert.equal("from the thread", b:receive())
    assert.equal("from here", b:receive())
    assert.is_false(is_closed(a))
  end)

  it("crosses as an argument, an upvalue, a global, in a message, as a result", function()
    local a, b = pair()
    call(function(t) t.list[1]:send "1" end, { list = { a } })
    call(function() a:send "2" end)
    _G.lt_spec_socket = a
    finally(function() _G.lt_spec_socket = nil end)
    call(load "lt_spec_socket:send '3'")
    local q = queue.Queue()
    q:put(a)
    opened(q:get()):send "4"
    opened(call(function(s) return s end, a)):send "5"
    local shared = _thread.shared { s = a }
    opened(shared.s):send "6"
    call(function() shared.s:send "7" end)
    assert.equal("1234567", b:receive(7))
  end)

  it("keeps its class, and its identity within a message", function()
    local server = listening()
    local a, b = connected(server)
    local udp = opened(socket.udp4())
    udp:setsockname("127.0.0.1", 0)
    local peer = opened(socket.udp4())
    peer:setpeername(udp:getsockname())
    local master = opened(socket.tcp4())
    local function kinds(list)
      local names = {}
      for i, s in ipairs(list) do
        names[i] = tostring(s):match "^[^:]*"
      end
      return names, list[1] == list[1 + #list // 2]
    end
    local list = { server, a, b, udp, peer, master, server, a, b, udp, peer, master }
    local names, same = call(kinds, list)
    assert.same(kinds(list), names)
    assert.is_true(same)
  end)

  it("keeps its timeouts, each of them", function()
    local a = pair()
    local function timeouts(s) return s:gettimeout() end
    for _, wanted in ipairs { { -1, -1 }, { 0, 2.5 }, { 1.25, -1 }, { 3, 4 } } do
      a:settimeout(wanted[1], "b")
      a:settimeout(wanted[2], "t")
      assert.same(wanted, { call(timeouts, a) })
    end
    a:settimeout(0)
    assert.equal("timeout", call(function(s) return select(2, s:receive()) end, a))
  end)

  it("keeps its family of addresses", function()
    local function family(s) return s:getfamily() end
    assert.equal("inet4", call(family, opened(socket.tcp4())))
    assert.equal("inet4", call(family, opened(socket.udp4())))
    local six = socket.tcp6()
    if six then -- a system may have none
      assert.equal("inet6", call(family, opened(six)))
    end
  end)

  it("waits in a thread until there is something to receive", function()
    local a, b = pair()
    local handle = threads.start(function(s) return s:receive() end, a)
    b:send "now\n"
    assert.equal("now", threads.result(handle))
  end)

  it("can be sent on by who has received it", function()
    local a, b = pair()
    call(function(s)
      local start = require "lthread".start_joinable_thread
      start(function(again) again:send "far\n" end, { args = { s } }):join()
    end, a)
    assert.equal("far", b:receive())
  end)

  it("is refused with the reason while it has unread bytes", function()
    local a, b = pair()
    b:send "one\ntwo\n"
    assert.equal("one", a:receive())
    assert.is_true(a:dirty())
    threads.raises(_thread.TypeError, "tcp{client} that has unread bytes in its buffer", call,
      nothing, a)
    threads.raises(_thread.TypeError, "unread bytes", call, nothing, transfer.move(a))
    assert.is_false(is_closed(a))
    assert.equal("two", a:receive())
    call(nothing, a)
  end)

  it("is refused with the reason when it is closed", function()
    local a = pair()
    a:close()
    threads.raises(_thread.TypeError, "tcp{client} that is closed", call, nothing, a)
    threads.raises(_thread.TypeError, "that is closed", call, nothing, { transfer.move(a) })
  end)

  -- Another library may give its objects the class of a socket.
  it("is refused when it tells a descriptor that no system has", function()
    local methods = debug.getmetatable(pair()).__index
    local getfd = methods.getfd
    finally(function() methods.getfd = getfd end)
    for _, told in ipairs { 1 << 31, (1 << 32) + 1, -2, math.maxinteger, 1e300, 0 / 0, 0.5, "x" } do
      methods.getfd = function() return told end
      threads.raises(_thread.TypeError, "tcp{client} that is closed", call, nothing, (pair()))
    end
  end)

  it("is refused with the way out where the module was not required", function()
    local output = child [[
      local socket = require "socket"
      local start = require "lthread".start_joinable_thread
      print(select(2, pcall(start, print, { args = { { s = socket.tcp4() } } })))
      require "lthread.transfer.socket"
      start(print, { args = { "crosses" }, kwargs = nil }):join()
      start(function(s) print(s:getfd() > 0) end, { args = { socket.tcp4() } }):join()
    ]]
    assert.truthy(output:find('cannot transfer a tcp{master} userdata (args[1].s); '
      .. 'require "lthread.transfer.socket" makes it cross', 1, true), output)
    assert.truthy(output:find("crosses\ntrue\n", 1, true), output)
  end)

  it("of Unix crosses, with its timeouts", function()
    local path = os.tmpname()
    os.remove(path)
    finally(function() os.remove(path) end)
    local server, client = opened(unix.stream()), opened(unix.stream())
    assert(server:bind(path))
    assert(server:listen())
    server:settimeout(5)
    server:settimeout(6, "t")
    assert(client:connect(path))
    local handle = threads.start(function(s)
      local other = s:accept()
      local class, block, total = tostring(s):match "^[^:]*", s:gettimeout()
      return class, block, total, other:receive()
    end, server)
    call(function(s) s:send "through a path\n" end, client)
    assert.same({ "unixstream{server}", 5, 6, "through a path" }, { threads.result(handle) })
    local dgram = opened(unix.dgram())
    dgram:settimeout(7)
    assert.same({ "unixdgram{unconnected}", 7 }, { call(function(s)
      return tostring(s):match "^[^:]*", (s:gettimeout())
    end, dgram) })
  end)

  it("leaves no descriptor behind, received or not", function()
    local a = pair()
    leaves_nothing(function()
      local q = queue.Queue()
      for _ = 1, 10 do
        call(function(s) return s:getfd() > 0 end, a)
        q:put { a, a }
        q:put(a)
      end
      q:get()[1]:close()
      local shared = _thread.shared { s = a }
      call(function() return shared.s ~= nil end)
      assert.is_true(shared.s:getfd() > 0)
      shared.s = nil
    end)
  end)

  it("leaves none behind in a thread that is interrupted, or fails", function()
    local a = pair()
    threads.quiet(finally)
    leaves_nothing(function()
      local begun = threads.held()
      local handle = threads.start(function(s)
        begun:release()
        local never = _thread.allocate_lock()
        never:acquire()
        never:acquire()
        return s
      end, a)
      assert.is_true(threads.await(begun))
      handle:interrupt(_thread.KeyboardInterrupt)
      threads.ended_by(_thread.KeyboardInterrupt, handle)
      assert.is_false(pcall(call, function() error "failed" end, a))
      assert.is_false(pcall(call, nothing, a, coroutine.create(nothing)))
      local q = queue.Queue(1)
      q:put(a)
      assert.is_false(pcall(q.put, q, a, false))
      q:shutdown(true)
    end)
  end)

  it("leaves none behind when a runtime ends", function()
    local output = child [[
      local socket = require "socket"
      require "lthread.transfer.socket"
      local _thread = require "lthread"
      local q = require "lthread.queue".Queue()
      local server = socket.bind("127.0.0.1", 0)
      _G.q = q
      for _ = 1, 5 do q:put(server) end
      _thread.start_new_thread(function(s) _thread.sleep(1000) return s end, { server })
      print "ends"
    ]]
    assert.matches("ends\n", output)
    assert.matches("status 0\n$", output)
  end)
end)

describe("accept in several threads", function()
  it("serves each connection once", function()
    local server = listening()
    local port = select(2, server:getsockname())
    local handles = {}
    for i = 1, 3 do
      handles[i] = threads.start(function(s)
        local served = 0
        while true do
          local client = s:accept()
          local line = client:receive()
          client:send(line == "stop" and "stopped\n" or line .. " back\n")
          client:close()
          if line == "stop" then
            return served
          end
          served = served + 1
        end
      end, server)
    end
    local function ask(text)
      local client <close> = setmetatable({ assert(socket.connect("127.0.0.1", port)) },
        { __close = function(list) list[1]:close() end })
      client[1]:send(text .. "\n")
      return client[1]:receive()
    end
    for i = 1, 60 do
      assert.equal(i .. " back", ask(i))
    end
    local served = 0
    for _ = 1, 3 do
      assert.equal("stopped", ask "stop")
    end
    for i = 1, 3 do
      served = served + threads.result(handles[i])
    end
    assert.equal(60, served)
  end)
end)

describe("move", function()
  it("closes the sender's socket when the message is complete", function()
    local a, b = pair()
    local q = queue.Queue()
    q:put { client = transfer.move(a) }
    assert.is_true(is_closed(a))
    call(function() q:get().client:send "moved\n" end)
    assert.equal("moved", b:receive())
    -- Nobody has it any more: the thread's end has closed the last one.
    assert.is_true(at_end(b))
  end)

  it("works as an argument, an upvalue, in a list and twice in a message", function()
    local server = listening()
    local a, b = connected(server)
    local c, d = connected(server)
    call(function(s) s:send "1\n" end, transfer.move(a))
    assert.equal("1", b:receive())
    local moved = transfer.move(c)
    assert.is_true(call(function(t) moved:send "2\n" return t[1] == moved end, { moved }))
    assert.equal("2", d:receive())
    assert.is_true(is_closed(a) and is_closed(c))
    local q = queue.Queue()
    q:put_many { 1, transfer.move(b), transfer.move(d) }
    assert.is_true(is_closed(b) and is_closed(d))
    local before = count()
    local list = q:get_many(3)
    list[2]:close()
    list[3]:close()
    assert.equal(before and before - 2, count())
  end)

  it("leaves open what could not be packed", function()
    local a = pair()
    assert.is_false(pcall(call, nothing, { transfer.move(a), coroutine.create(nothing) }))
    assert.is_false(is_closed(a))
  end)

  it("gives back what could not be put, also in the middle of a list", function()
    local server = listening()
    local a, b = connected(server)
    local c, d = connected(server)
    local q = queue.Queue(1)
    leaves_nothing(function()
      local ok, e = pcall(q.put_many, q, { transfer.move(a), transfer.move(c) }, false)
      assert.is_false(ok)
      assert.equal(1, e.put)
      assert.is_true(is_closed(a))
      assert.is_false(is_closed(c))
      for _, arguments in ipairs { { false }, { true, 0.001 } } do
        threads.raises(queue.Full, "", q.put, q, transfer.move(c), table.unpack(arguments))
        assert.is_false(is_closed(c))
      end
      a = q:get()
      q:shutdown()
      threads.raises(queue.ShutDown, "", q.put, q, transfer.move(c))
      assert.is_false(is_closed(c))
      local simple = queue.Queue()
      simple:shutdown()
      threads.raises(queue.ShutDown, "", simple.put, simple, { transfer.move(c) })
      assert.is_false(is_closed(c))
    end)
    a:send "a\n"
    c:send "c\n"
    assert.same({ "a", "c" }, { b:receive(), d:receive() })
    a:close()
  end)

  it("gives back what was being put when an interrupt came", function()
    local a, b = pair()
    local q = queue.Queue(1)
    q:put "full"
    local handle = threads.start(function(s)
      local move = require "lthread.transfer.socket".move
      local ok, e = pcall(q.put, q, move(s))
      s:send(not ok and _thread.isinstance(e, _thread.KeyboardInterrupt) and "yes\n" or "no\n")
    end, a)
    assert.is_true(threads.await_blocked(handle.ident))
    handle:interrupt(_thread.KeyboardInterrupt)
    assert.equal("yes", b:receive())
    threads.result(handle)
  end)

  it("gives back what a thread that can't be started would have got", function()
    local a = pair()
    local handle = _thread.start_joinable_thread(nothing)
    handle:join()
    assert.is_false(pcall(_thread.start_joinable_thread, nothing,
      { args = { transfer.move(a) }, handle = handle }))
    assert.is_false(is_closed(a))
  end)

  it("closes what nobody receives", function()
    local a, b = pair()
    do
      local q = queue.Queue()
      q:put(transfer.move(a))
      q:shutdown(true)
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(at_end(b))
  end)

  it("takes a socket, and nothing else", function()
    for _, value in ipairs { 1, "s", {}, io.stdout, false } do
      threads.raises(_thread.TypeError, "bad argument #1 to 'move' (socket expected, got ",
        transfer.move, value)
    end
    threads.raises(_thread.TypeError, "bad argument #1 to 'move'", transfer.move)
    local a = pair()
    threads.raises(_thread.TypeError, "", transfer.move, a, 1)
  end)

  it("hands each connection to one of several workers", function()
    local server = listening()
    local q = queue.Queue(2)
    local handles = {}
    for i = 1, 3 do
      handles[i] = threads.start(function()
        local served = 0
        while true do
          local client = q:get()
          if not client then
            return served
          end
          client:send("worker " .. client:receive() .. "\n")
          client:close()
          served = served + 1
        end
      end)
    end
    leaves_nothing(function()
      for i = 1, 50 do
        local client, other = connected(server)
        q:put(transfer.move(other))
        assert.is_true(is_closed(other))
        client:send(i .. "\n")
        assert.equal("worker " .. i, client:receive())
        assert.is_true(at_end(client))
        client:close()
      end
    end)
    local served = 0
    for _ = 1, 3 do
      q:put(false)
    end
    for i = 1, 3 do
      served = served + threads.result(handles[i])
    end
    assert.equal(50, served)
  end)
end)
