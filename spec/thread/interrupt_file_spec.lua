-- Interrupts of threads that are in a system call, for a file that never has anything.
local _thread = require "lthread"
local child = require "fixtures.child"
local setups = require "support.setups"
local threads = require "support.threads"
local with_fifo = require "support.with_fifo"
local held, await, start, ended_by = threads.held, threads.await, threads.start, threads.ended_by

setups.alone()
setups.quiet()

local has_proc = io.open("/proc/self/stat") ~= nil

-- Each is given the name of a pipe, and the name of one that somebody has open for writing. What a
-- call returns comes back into the function, where the interrupt finds it at the latest.
local calls = {
  ["file:lines of a command"] = function(_, open)
    for _ in io.popen("head -n 1 '" .. open .. "'"):lines() do end
  end,
  ["file:lines of a command, with formats"] = function(_, open)
    for _ in io.popen("head -n 1 '" .. open .. "'"):lines("n", 3) do end
  end,
  ["io.lines"] = function(_, open) for _ in io.lines(open) do end end,
  ["io.lines with formats"] = function(_, open) for _ in io.lines(open, "L", "n") do end end,
  ["io.lines of the default input"] = function(_, open)
    io.input(open)
    for _ in io.lines() do end
  end,
  ["io.read"] = function(_, open)
    io.input(open)
    local line = io.read()
    return line
  end,
  ["file:read"] = function(_, open) local all = io.open(open):read "a" return all end,
  ["the iterator of file:lines"] = function(_, open)
    local line = io.open(open):lines()()
    return line
  end,
  ["the opening io.open"] = function(path) local file = io.open(path) return file end,
  ["the opening io.lines"] = function(path) for _ in io.lines(path) do end end,
  ["the opening io.input"] = function(path) io.input(path) end,
  ["the opening io.output"] = function(path) io.output(path) end,
  ["lines in a coroutine"] = function(_, open)
    for _ in coroutine.wrap(function() return io.lines(open) end)() do end
  end,
  ["lines in a coroutine that reads"] = function(_, open)
    coroutine.wrap(function() for _ in io.lines(open) do end end)()
  end,
}

describe("an interrupt in a system call", function()
  if not has_proc then return end

  for what, f in pairs(calls) do
    for _, how in ipairs { "ends", "is caught around" } do
      it(how .. " " .. what, function()
        with_fifo(function(path)
          with_fifo(function(open)
            local writer <close> = io.open(open, "r+")
            local there = held()
            local handle = start(function()
              local function call()
                there:release()
                return f(path, open)
              end
              if how == "ends" then return call() end
              return pcall(call)
            end)
            assert.is_true(await(there))
            assert.is_true(threads.await_system_call(threads.info_of(handle.ident).native_id))
            assert.is_true(handle:interrupt(_thread.ValueError))
            writer:write "\n" -- a command that reads it ends then
            writer:close()
            if how == "ends" then
              ended_by(_thread.ValueError, handle)
            else
              local ok, e = threads.result(handle)
              assert.is_false(ok)
              assert.is_true(_thread.isinstance(e, _thread.ValueError), tostring(e))
            end
          end)
        end)
      end)
    end
  end

  it("is preferred to the error that another C function makes of it", function()
    with_fifo(function(path)
      local there = held()
      local handle = start(function()
        there:release()
        dofile(path)
      end)
      assert.is_true(await(there))
      assert.is_true(threads.await_system_call(threads.info_of(handle.ident).native_id))
      assert.is_true(handle:interrupt(_thread.ValueError))
      ended_by(_thread.ValueError, handle)
    end)
  end)

  for what, code in pairs {
    ["io.lines()"] = "for _ in io.lines() do end",
    ["io.read()"] = "while true do io.read() end",
    ["the lines of io.stdin"] = "for _ in io.stdin:lines() do end",
  } do
    it("at the end of the program is silent in " .. what, function()
      with_fifo(function(path)
        assert.equal("status 0\n", child([[
          local _thread = require "lthread"
          local threads = require "support.threads"
          local there = threads.held()
          local handle = threads.start(function() there:release() ]] .. code .. [[ end)
          threads.await(there)
          threads.await_system_call(threads.info_of(handle.ident).native_id)
        ]], nil, "<>'" .. path .. "'"))
      end)
    end)
  end

  it("reaches the main thread, too", function()
    with_fifo(function(path)
      assert.equal("false\tKeyboardInterrupt\nstatus 0\n", child([[
        local _thread = require "lthread"
        local threads = require "support.threads"
        local there = threads.held()
        threads.start(function()
          threads.await(there)
          threads.await_system_call(threads.info_of(1).native_id)
          _thread.interrupt_main()
        end)
        local ok, e = pcall(function()
          there:release()
          for _ in io.lines() do end
        end)
        print(ok, e.__class__ and e.__class__.__name__ or e)
      ]], nil, "<>'" .. path .. "'"))
    end)
  end)
end)

describe("the functions of files that are replaced", function()
  local function everywhere(f)
    assert.same(table.pack(pcall(f)), table.pack(threads.call(pcall, f)))
    return f()
  end

  local function with_file(text, f)
    local path = os.tmpname()
    local file <close> = io.open(path, "w")
    file:write(text)
    file:close()
    f(path)
    os.remove(path)
  end

  it("read as Lua's own do", function()
    with_file("one\n2 3\n\nfour", function(path)
      assert.same({ "one", "2 3", "", "four" }, everywhere(function()
        local all = {}
        for line in io.lines(path) do all[#all + 1] = line end
        return all
      end))
      assert.same({ "o", "ne\n", 2, " 3\n", "\n", "four" }, everywhere(function()
        local all, file = {}, io.open(path)
        all[1] = file:lines(1)()
        all[2] = file:lines("L")()
        all[3], all[4] = file:lines("n", "L")()
        for line in file:lines "L" do all[#all + 1] = line end
        return all
      end))
      assert.equal("", (everywhere(function()
        local next_line, _, _, file = io.lines(path, "a")
        next_line()
        assert(io.type(file) == "file")
        local last = next_line("ignored")
        return last
      end)))
      assert.equal("closed file", (everywhere(function()
        local next_line, _, _, file = io.lines(path)
        repeat until not next_line()
        return io.type(file)
      end)))
    end)
  end)

  it("raise what Lua's own do, with the place", function()
    local line = debug.getinfo(1, "l").currentline
    for offset, f in ipairs {
      function() return (select(2, pcall(function() io.lines "/no/such" end))) end,
      function() return (select(2, pcall(function() io.input "/no/such" end))) end,
      function() return (select(2, pcall(function() io.output "/no/such" end))) end,
    } do
      local message = everywhere(f)
      local place = ("interrupt_file_spec.lua:%d: "):format(line + 1 + offset)
      assert.truthy(message:find(place, 1, true), message)
      assert.truthy(message:find("/no/such", 1, true), message)
      assert.truthy(message:find("No such file or directory", 1, true), message)
    end
    with_file("text", function(path)
      local message = everywhere(function()
        local next_line, _, _, file = io.lines(path)
        file:close()
        return (select(2, pcall(function() next_line() end)))
      end)
      assert.truthy(message:find("file is already closed", 1, true), message)
      assert.truthy(message:find("interrupt_file_spec.lua:", 1, true), message)
      message = everywhere(function()
        return (select(2, pcall(function() for _ in io.lines(path, "x") do end end)))
      end)
      local complaint = "bad argument #2 to 'for iterator' (invalid format)"
      assert.truthy(message:find(complaint, 1, true), message)
    end)
    assert.is_false((pcall(io.lines, {})))
  end)
end)
