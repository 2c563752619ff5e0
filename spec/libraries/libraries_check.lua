-- Libraries that others wrote. Each one is used as it is used in one state, but in threads: what it
-- answers there must be what it answers here. `make libraries` runs this.
local _thread = require "lthread"

-- What is not installed is a failure: sh tools/setup.sh libraries installs it.
local groups = { "network", "data", "text", "system" }
local interpreter = os.getenv "LTHREAD_LUA" or "lua5.4"

local function in_thread(f, ...)
  return table.pack(_thread.start_joinable_thread(f, { args = { ... } }):result())
end


local function check_ways(library, module)
  local use, name = library.use, library.name
  local expected = table.pack(use(module))

  it("is an upvalue", function()
    assert.same(expected, in_thread(function() return use(module) end))
  end)

  it("is a global", function()
    the_library, use_it = module, use -- luacheck: ignore
    assert.same(expected, in_thread(function() return use_it(the_library) end)) -- luacheck: ignore
    the_library, use_it = nil, nil -- luacheck: ignore
  end)

  it("is an argument", function()
    assert.same(expected, in_thread(use, module))
  end)

  it("is required in the thread", function()
    assert.same(expected, in_thread(function() return use(require(name)) end))
  end)

  it("comes home as itself", function()
    assert.equal(module, in_thread(function(given) return given end, module)[1])
  end)
end

local function check_object(object, module)
  it("has " .. object.what .. (object.use and ", which arrives" or ", which is refused"), function()
    local made = object.make(module)
    if object.use then
      local arrived = in_thread(object.use, made)
      assert.same(table.pack(object.use(made)), arrived)
    else
      local started, refusal = pcall(_thread.start_new_thread, print, { made })
      assert.is_false(started)
      assert.equal(_thread.TypeError, getmetatable(refusal))
      assert.match("^TypeError: cannot transfer ", tostring(refusal))
    end
  end)
end

local function check_threads(library, module)
  local use, name = library.use, library.name

  it("is used by 4 threads at once, 30 rounds", function()
    local expected, handles = table.pack(use(module)), {}
    for i = 1, 4 do
      handles[i] = _thread.start_joinable_thread(function()
        local answers = {}
        for round = 1, 30 do answers[round] = table.pack(use(require(name))) end
        return answers
      end)
    end
    for i = 1, 4 do
      local answers = handles[i]:result()
      assert.equal(30, #answers)
      for round = 1, 30 do assert.same(expected, answers[round]) end
    end
  end)
end

-- Runs the code in a process of its own; returns what it has written, with its status.
local function run(code)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(code)
  file:close()
  local pipe <close> = io.popen(("timeout 60 %s %s 2>&1; echo status $?"):format(interpreter, path))
  local text = pipe:read "a"
  os.remove(path)
  return text
end

local function check_end(group, library)
  it("is in use while the main state closes", function()
    local text = run(([[
      local _thread = require "lthread"
      local used = require "lthread.queue".Queue(1)
      _thread.start_new_thread(function(group, name)
        for _, library in ipairs(dofile("spec/libraries/" .. group .. ".lua")) do
          if library.name == name then
            local module = require(name)
            library.use(module)
            used:put(true)
            while true do library.use(module) end
          end
        end
      end, { %q, %q })
      used:get()
      print "main ends"
    ]]):format(group, library.name))
    assert.equal("main ends\nstatus 0\n", text)
  end)
end

for _, group in ipairs(groups) do
  for _, library in ipairs(dofile("spec/libraries/" .. group .. ".lua")) do
    describe(library.name .. " of " .. library.package, function()
      local loaded, module = pcall(require, library.name)
      it("is installed", function() assert.is_true(loaded, module) end)
      if not loaded then return end
      check_ways(library, module)
      for _, object in ipairs(library.objects) do check_object(object, module) end
      check_threads(library, module)
      check_end(group, library)
    end)
  end
end

describe("luasocket as an upvalue", function()
  it("is right in 200 processes, each with another order of its tables", function()
    local code = [[
      local _thread = require "lthread"
      local socket = require "socket"
      local handle = _thread.start_joinable_thread(function()
        return type(socket.tcp), type(socket.bind), type(socket.connect), type(socket.sleep)
      end)
      print(handle:result())
    ]]
    local right = ("function\t"):rep(3) .. "function\nstatus 0\n"
    for _ = 1, 200 do assert.equal(right, run(code)) end
  end)
end)
