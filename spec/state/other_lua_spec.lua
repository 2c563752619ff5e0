-- What lthread does in a Lua that is not as those it knows: spec/hosts/other_lua.c.
require "lthread"
local hosts = require "support.hosts"

local function run(kind, script)
  local path = os.tmpname()
  local file <close> = io.open(path, "w")
  file:write(script)
  file:close()
  local output = hosts.run("other_lua", kind .. " <" .. path)
  os.remove(path)
  return output
end

local sends = [[
  local _thread, queue = require "lthread", require "lthread.queue".SimpleQueue()
  number = 5
  function double() return 2 * number end
  local function f() return number, double() end
  local function start(options)
    return _thread.start_joinable_thread(f, options):result()
  end
]]

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do table.insert(lines, line) end
  return lines
end

describe("In a Lua whose bytecode is not known", function()
  it("a function that has globals is refused", function()
    local output = run("bytecode",
      sends .. "print(pcall(start)) print(pcall(queue.put, queue, { f }))")
    local reason = "which ones can't be told, since the bytecode of this Lua is not that of "
      .. _VERSION .. ": {globals = {\"name\"}} takes those of a list along, {globals = false} none"
    local cannot = "false\tTypeError: cannot transfer a function that has globals (%s); %s"
    assert.same({ cannot:format("function", reason), cannot:format("message[1]", reason),
      "status 0" }, lines_of(output))
  end)

  it("one whose globals the starter names takes these along", function()
    assert.equal("5\t10\nstatus 0\n",
      run("bytecode", sends .. "print(start { globals = { 'number', 'double' } })"))
  end)

  it("one without globals crosses, and the variables that it shares with others", function()
    assert.equal("12\n3\nstatus 0\n", run("bytecode", sends .. [[
      local function joined(a, b) return a .. b end
      print(_thread.start_joinable_thread(joined, { args = { 1, 2 } }):result())
      local count = 0
      local function add() count = count + 1 return count end
      queue:put { add, function() return count + add() end }
      local functions = queue:get()
      functions[1]()
      print(functions[2]())
    ]]))
  end)
end)

describe("In a Lua that breaks off __close handlers in coroutine.close", function()
  it("lthread can't be required, and says why and what to do", function()
    local output = run("handlers", "print 'loaded'")
    assert.matches("^lthread can't run in this Lua %(" .. _VERSION:gsub("%.", "%%.")
      .. "[%d.]*%): it breaks off __close handlers .* use Lua 5%.4%.4 or "
      .. "later\nstatus 1\n$", output)
  end)
end)

describe("In a Lua whose collector can't be told to wait", function()
  it("messages come all the same, and the collector goes on", function()
    assert.equal("0\t5\t10\ttrue\ttrue\nstatus 0\n", run("steps", sends .. [[
      take_endless_steps()
      local is_finalized = false
      for i = 1, 100 do
        queue:put { i, ("x"):rep(100000) }
        assert(queue:get()[1] == i)
      end
      setmetatable({}, { __gc = function() is_finalized = true end })
      for i = 1, 1000 do
        queue:put { ("x"):rep(1000), i }
        queue:get()
      end
      local number, double = start()
      print(take_endless_steps(), number, double, is_finalized, collectgarbage "isrunning")
    ]]))
  end)
end)
