local _thread = require "lthread"
local child = require "fixtures.child"
local threads = require "support.threads"

local function call(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) }):result()
end

-- What f(...) gives in this thread, and whether it gives the same in another one.
local function same_in_thread(f, ...)
  local expected = table.pack(f(...))
  assert.same(expected, table.pack(call(f, ...)))
  return table.unpack(expected, 1, expected.n)
end

local execute, popen = os.execute, io.popen

local function popen_and_close(command, mode)
  local file = popen(command, mode)
  return file:close()
end

describe("os.execute in a thread", function()
  it("returns what it does in the main thread", function()
    assert.is_true(same_in_thread(execute))
    assert.is_true(same_in_thread(execute, "true"))
    assert.is_nil((same_in_thread(execute, "exit 3")))
    assert.same({ nil, "signal", 9 }, { same_in_thread(execute, "kill -KILL $$; exit 1") })
    same_in_thread(execute, "lt_no_such_command 2>/dev/null")
    same_in_thread(pcall, execute, {})
  end)

  it("starts programs that signals end as they end those of the main thread", function()
    for _, signal in ipairs { "INT", "TERM", "PIPE", "HUP", "USR1", "ALRM" } do
      local command = ("kill -%s $$; exit 9"):format(signal)
      same_in_thread(execute, command)
      same_in_thread(popen_and_close, command)
    end
    assert.same({ nil, "signal", 15 }, { call(execute, "kill -TERM $$; exit 9") })
  end)

  it("does so in a thread that a thread started, too", function()
    assert.same({ nil, "signal", 15 }, { call(function()
      return _thread.start_joinable_thread(function()
        return os.execute("kill -TERM $$; exit 9")
      end):result()
    end) })
  end)

  it("is a function of each state, which crosses both ways", function()
    assert.is_true((call(function(f) return f == os.execute and f == execute end, os.execute)))
    assert.equal(os.execute, (call(function() return os.execute end)))
    assert.equal(io.popen, (call(function() return io.popen end)))
    assert.is_true((call(function(f) return f == io.popen and f == popen end, io.popen)))
  end)

  it("runs in several threads at once", function()
    local handles = {}
    for i = 1, 8 do
      handles[i] = _thread.start_joinable_thread(function()
        for round = 0, 9 do
          local _, what, code = os.execute("exit " .. round)
          assert(what == "exit" and code == round)
          local file <close> = io.popen("echo " .. round)
          assert(file:read("a") == round .. "\n")
        end
        return true
      end)
    end
    for i = 1, 8 do
      assert.is_true((handles[i]:result()))
    end
  end)
end)

describe("io.popen in a thread", function()
  it("reads what a command writes", function()
    assert.same({ "one\n", "two", nil }, { same_in_thread(function()
      local file <close> = popen("echo one; printf two", "r")
      return file:read("L"), file:read("L"), file:read("L")
    end) })
    assert.equal("abc", (same_in_thread(function()
      local all = ""
      for line in popen("echo a; echo b; echo c"):lines() do
        all = all .. line
      end
      return all
    end)))
  end)

  it("writes what a command reads", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    assert.same({ true, "exit", 0 }, { call(function()
      local file = popen("cat >" .. path, "w")
      file:write("written ", 1)
      return file:close()
    end) })
    local file <close> = io.open(path)
    assert.equal("written 1", file:read("a"))
  end)

  it("closes with the status of the command", function()
    assert.same({ nil, "exit", 5 }, { same_in_thread(popen_and_close, "exit 5") })
    assert.same({ nil, "signal", 15 }, { same_in_thread(popen_and_close, "kill -TERM $$") })
    assert.same({ true, "exit", 0 }, { same_in_thread(popen_and_close, "true", "w") })
  end)

  it("makes files as the others of io", function()
    assert.same({ "file", "closed file", "file (closed)" }, { same_in_thread(function()
      local file = popen("true")
      local open = io.type(file)
      file:close()
      return open, io.type(file), tostring(file)
    end) })
    same_in_thread(pcall, function()
      local file = popen("true")
      file:close()
      file:read()
    end)
  end)

  it("waits for the command when a file is collected", function()
    local go, done, collecting = os.tmpname(), os.tmpname(), threads.held()
    os.remove(go)
    assert(os.execute("mkfifo '" .. go .. "'"))
    finally(function() os.remove(go) os.remove(done) end)
    local handle = threads.start(function()
      popen(("read line <'%s'; echo done >'%s'"):format(go, done))
      local native_id = _thread.get_native_id()
      setmetatable({}, { __gc = function() collecting:release() end })
      collectgarbage()
      collectgarbage()
      local file <close> = io.open(done)
      return file:read(), native_id
    end)
    assert.is_true(threads.await(collecting))
    assert.is_true(threads.await_system_call(threads.info_of(handle.ident).native_id))
    io.open(go, "w"):close()
    assert.equal("done", (threads.result(handle)))
  end)

  it("refuses what Lua's own does, in its words", function()
    same_in_thread(pcall, popen)
    same_in_thread(pcall, popen, "true", "rw")
    same_in_thread(pcall, popen, "true", "rb")
    same_in_thread(pcall, popen, "true", "x")
    local ok, message = call(pcall, popen, "true", "x")
    assert.is_false(ok)
    assert.equal("bad argument #2 to 'popen' (invalid mode)", (message:gsub("io%.", "")))
  end)

  it("leaves none of its pipes open in another command", function()
    local thread = _thread.start_joinable_thread(function()
      local first = popen("cat >/dev/null", "w")
      local second = popen("cat >/dev/null", "w")
      local closed = first:close() -- cat ends when nobody can write to it any more
      return closed and second:close()
    end)
    assert.is_true(thread:join(threads.LONG))
    assert.is_true((thread:result()))
  end)
end)

describe("io.popen while another thread reads", function()
  local script = [[
    local _thread = require "lthread"
    local threads = require "support.threads"
    local there = threads.held()
    local reader = threads.start(function() there:release() return io.read() end)
    threads.await(there)
    threads.await_system_call(threads.info_of(reader.ident).native_id)
    local function talk()
      local file = io.popen "echo from the command"
      local text = file:read "a"
      local other <close> = io.open "/dev/null"
      return text, file:close()
    end
    print(WHERE)
    local input <close> = io.open(arg[1], "w")
    input:write "read\n"
    input:flush()
    print(reader:result())
  ]]

  for where, code in pairs {
    ["a thread"] = "threads.call(talk)", ["the main thread"] = "talk()",
  } do
    it("does not wait for it in " .. where, function()
      local path = os.tmpname()
      os.remove(path)
      assert(os.execute("mkfifo '" .. path .. "'"))
      finally(function() os.remove(path) end)
      assert.equal("from the command\n\ttrue\texit\t0\nread\nstatus 0\n",
        child(script:gsub("WHERE", code), nil, ("'%s' <>'%s'"):format(path, path)))
    end)
  end

  it("shows the command what the state has written before", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local function show(what)
      local shown = io.popen("cat '" .. path .. "'")
      local text = shown:read "a"
      shown:close()
      return text == what
    end
    local function write_and_show()
      local file <close> = io.open(path, "w")
      file:write "one"
      assert(show "one")
      local again <close> = io.open(path, "r+")
      again:write "two"
      assert(show "two")
      local output = io.output()
      io.output(path)
      io.write "three"
      assert(show "three")
      io.close()
      io.output(output)
      file:close()
      assert(show "three")
      return true
    end
    local go = _thread.allocate_lock()
    go:acquire()
    local other = _thread.start_joinable_thread(function() go:acquire() end)
    assert.is_true(write_and_show())
    assert.is_true((call(write_and_show)))
    go:release()
    other:join()
    assert.is_true(write_and_show())
  end)
end)
