local child = require "fixtures.child"

-- Only the interpreter that the sanitizers watch has allocations that fail on demand.
if os.getenv("LTHREAD_SANITIZER") ~= "asan" or not pcall(require, "memory") then
  return
end

-- Each allocation in turn fails, alone and with all that follow: see support/failing.lua.
describe("want of memory raises, leaks nothing and leaves all usable", function()
  for _, operation in ipairs { "open", "locks", "events", "conditions", "barriers", "futures",
    "exceptions", "sections", "tokens",
    "rules", "classes", "start", "constants", "sandbox", "join", "transfer", "modules", "changed",
    "offers", "errors", "hook", "reports", "local", "per_thread", "commands", "calls", "queues",
    "loans", "descriptors", "globals", "sockets", "seeing" } do
    it("in " .. operation, function()
      local output = child("return dofile 'spec/support/failing.lua'", nil, operation)
      assert.matches("\npassed\nstatus 0\n$", output)
    end)
  end
end)

describe("want of memory where a function's globals are set", function()
  it("leaves those that the thread has, also false ones", function()
    local output = child([[
      local memory = require "memory"
      local _thread = require "lthread"
      local lost = _thread.shared { count = 0 }
      A, B, C, D, E, F, G, H = false, false, false, false, false, false, false, false
      I, J, K, L, M, N, O, P = 1, 2, 3, 4, 5, 6, 7, 8
      package.preload.setting = function() return A, B, C, D, E, F, G, H end
      _thread.set_excepthook(function()
        for name in ("ABCDEFGH"):gmatch "." do
          if package.preload.setting and rawget(_G, name) == nil then
            _thread.add(lost, "count", 1)
          end
        end
      end)
      local function start()
        local ok, handle = pcall(_thread.start_joinable_thread, function()
          return A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P
        end)
        if ok then pcall(handle.join, handle) end
      end
      collectgarbage "stop"
      for _ = 1, 5 do
        for n = 1, 150 do
          memory.fail(n, 2)
          pcall(start)
          memory.stop()
        end
        collectgarbage()
      end
      print(lost.count == 0 and "nothing is lost" or lost.count .. " are lost")
    ]])
    assert.matches("nothing is lost\nstatus 0\n$", output)
  end)
end)

describe("want of memory while a thread ends by an error", function()
  -- The thread uses up what its state has for long strings, such as a traceback, until it leaves
  -- its function.
  it("takes its traceback, and not the error", function()
    local output = child [[
      local _thread, memory = require "lthread", require "memory"
      local fail, stop = memory.fail, memory.stop
      _thread.set_excepthook(function(args) print(args.exc_traceback) end)
      for _, value in ipairs { "text", { code = 42 }, _thread.ValueError "no" } do
        local handle = _thread.start_joinable_thread(function()
          collectgarbage "stop"
          local _ <close> = setmetatable({}, { __close = stop })
          local rep = string.rep
          local function use_up(size) while true do rep("x", size) end end
          fail(1, 0)
          for size = 2048, 128, -8 do pcall(use_up, size) end
          error(value, 0)
        end)
        local _, e = pcall(handle.result, handle)
        print(type(e) == "table" and (e.code or e.message) or e)
      end
    ]]
    assert.equal("nil\ntext\nnil\n42\nnil\nno\nstatus 0\n", output)
  end)
end)
