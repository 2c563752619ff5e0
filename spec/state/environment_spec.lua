local _thread = require "lthread"
local child = require "fixtures.child"

local globals = load("return _G")()

local function call(f, ...)
  return _thread.start_joinable_thread(f, { args = table.pack(...) }):result()
end

describe("a thread's environment", function()
  it("has the whole standard library", function()
    local missing = call(function()
      local names = { "assert", "collectgarbage", "dofile", "error", "getmetatable", "ipairs",
        "load", "loadfile", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen",
        "rawset", "require", "select", "setmetatable", "tonumber", "tostring", "type", "warn",
        "xpcall", "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" }
      local lacking = {}
      for _, name in ipairs(names) do
        if _G[name] == nil then
          lacking[#lacking + 1] = name
        end
      end
      return table.concat(lacking, " ")
    end)
    assert.equal("", missing)
    assert.equal(_VERSION, (call(function() return _VERSION end)))
    assert.equal("HI", (call(function() return ("hi"):upper() end)))
  end)

  it("has random numbers of its own", function()
    local seen, again = {}, 0
    for _ = 1, 50 do
      local number = call(function() return math.random(0) end)
      again = again + (seen[number] and 1 or 0)
      seen[number] = true
    end
    assert.equal(0, again)
  end)

  it("has package.path and package.cpath as they are when it starts", function()
    local path, cpath = package.path, package.cpath
    finally(function() package.path, package.cpath = path, cpath end)
    package.path, package.cpath = path .. ";/nowhere/?.lua", cpath .. ";/nowhere/?.so"
    assert.same({ package.path, package.cpath }, { call(function()
      return package.path, package.cpath
    end) })
    assert.equal(package.path, (call(function()
      return _thread.start_joinable_thread(function() return package.path end):result()
    end)))
    call(function() package.path = "" end)
    assert.equal(path .. ";/nowhere/?.lua", package.path)
  end)

  it("has a package of its own where this thread has something else, or none", function()
    local saved, path = package.loaded.package, package.path
    finally(function() package.loaded.package, package.path = saved, path end)
    local function f()
      local found, package = pcall(require, "package")
      if not found then return "none" end
      return type(package.path), type(package.cpath)
    end
    local strange = setmetatable({}, { __index = error, __newindex = error })
    for _, module in ipairs { {}, 5, strange } do
      package.loaded.package = module
      assert.same({ "string", "string" }, { call(f) })
    end
    package.loaded.package = nil
    assert.equal("none", (call(f)))
    package.loaded.package, package.path = saved, nil
    assert.same({ "nil", "string" }, { call(f) })
  end)

  it("has the functions in package.preload", function()
    local answer = 42
    package.preload["lt_spec.module"] = function(name) return { name = name, answer = answer } end
    finally(function() package.preload["lt_spec.module"] = nil end)
    assert.same({ "lt_spec.module", 42 }, { call(function()
      local module = require "lt_spec.module"
      return module.name, module.answer
    end) })
    assert.is_nil(package.loaded["lt_spec.module"])
  end)

  it("lacks what package.preload can't send, and has the rest", function()
    local co = coroutine.create(print)
    package.preload["lt_spec.good"] = function() return "good" end
    package.preload["lt_spec.bad"] = function() return co end
    finally(function()
      package.preload["lt_spec.good"], package.preload["lt_spec.bad"] = nil, nil
    end)
    local good, bad = call(function()
      return require("lt_spec.good"), package.preload["lt_spec.bad"] == nil
    end)
    assert.equal("good", good)
    assert.is_true(bad)
  end)

  it("can require this library, under both names", function()
    assert.is_true((call(function() return require("lthread") == _thread end)))
    assert.is_true((call(function() return require("_thread") == require("lthread") end)))
  end)

  it("can require this library without finding it", function()
    local path, cpath = package.path, package.cpath
    finally(function() package.path, package.cpath = path, cpath end)
    package.path, package.cpath = "", ""
    assert.is_true((call(function()
      return require("_thread").start_joinable_thread(function()
        return require("_thread") == require("lthread")
      end):result()
    end)))
  end)

  it("has no globals but those that the function names", function()
    globals.lt_spec_global, globals.lt_spec_named = 5, 6
    finally(function() globals.lt_spec_global, globals.lt_spec_named = nil, nil end)
    local hidden, named = call(load([[
      return rawget(_G, "lt_spec_" .. "global"), lt_spec_named
    ]]))
    assert.is_nil(hidden)
    assert.equal(6, named)
  end)

  it("is fresh in every thread", function()
    call(load("lt_spec_left = 1; string.lt_spec_left = 2; package.loaded.lt_spec_left = 3"))
    assert.same({ n = 3 }, table.pack(call(load([[
      return rawget(_G, "lt_spec_" .. "left"), string["lt_spec_" .. "left"],
        package.loaded["lt_spec_" .. "left"]
    ]]))))
    assert.is_nil(globals.lt_spec_left)
    assert.is_nil(string.lt_spec_left) -- luacheck: ignore
  end)

  it("has arg if the function names it, and only then", function()
    local output = child([[
      local _thread = require "lthread"
      arg[1] = "one"
      local function call(f) return _thread.start_joinable_thread(f):result() end
      print(call(function() return arg[1] .. #arg end))
      print(call(function() return rawget(_G, "a" .. "rg") end))
    ]])
    assert.equal("one1\nnil\nstatus 0\n", output)
  end)

  it("has a random sequence of its own", function()
    local before = math.random(0)
    assert.are_not.equal(before, (call(function() return math.random(0) end)))
    assert.equal((call(function() math.randomseed(7) return math.random(1000) end)),
      (call(function() math.randomseed(7) return math.random(1000) end)))
  end)
end)

describe("print", function()
  it("keeps the lines of several threads whole", function()
    local output = child([[
      local _thread = require "lthread"
      local function talk(me)
        for i = 1, 200 do
          print(me, i, ("x"):rep(100), nil, true, setmetatable({}, {
            __tostring = function() return "end" .. i end
          }))
        end
      end
      local handles = {}
      for me = 1, 4 do
        handles[me] = _thread.start_joinable_thread(talk, {args = {me}})
      end
      talk(5)
      for me = 1, 4 do handles[me]:join() end
    ]])
    local next_line = { 1, 1, 1, 1, 1 }
    local count = 0
    for line in output:gmatch("[^\n]+") do
      if not line:find("^status") then
        local me, i, xs, i_again = line:match("^(%d)\t(%d+)\t(x+)\tnil\ttrue\tend(%d+)$")
        assert.truthy(me, line)
        assert.equal(100, #xs)
        assert.equal(i, i_again)
        assert.equal(next_line[tonumber(me)], tonumber(i))
        next_line[tonumber(me)] = tonumber(i) + 1
        count = count + 1
      end
    end
    assert.equal(1000, count)
    assert.truthy(output:find("status 0\n$"), output)
  end)

  it("writes what Lua's own does", function()
    local output = child([[
      local _thread = require "lthread"
      local function lines()
        print()
        print(nil)
        print(1, 2.0, "a\0b", false)
        print(print == _G.print, select("#", print("")))
        return pcall(print, setmetatable({}, {__tostring = function() return {} end}))
      end
      local ok, e = _thread.start_joinable_thread(lines):result()
      print(ok, e)
    ]])
    assert.equal("\nnil\n1\t2.0\ta\0b\tfalse\n\ntrue\t0\n"
      .. "false\t'__tostring' must return a string\nstatus 0\n", output)
  end)

  it("has written its line before it returns", function()
    local output = child([[
      local _thread = require "lthread"
      print "main"
      _thread.start_joinable_thread(function() print "thread" end):join()
      os.execute "kill -KILL $PPID"
    ]])
    assert.equal("main\nthread\n", output:match "^main\nthread\n")
  end)

  it("stays what the host has made of it", function()
    local output = child([[
      print = io.write
      local _thread = require "lthread"
      print("one", "two", "\n")
    ]])
    assert.equal("onetwo\nstatus 0\n", output)
  end)
end)
