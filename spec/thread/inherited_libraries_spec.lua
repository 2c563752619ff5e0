-- luacheck: ignore 142 143 (fields that are added to Lua's libraries)
-- A thread has no more of Lua's libraries than the thread that has started it.
local _thread = require "lthread"
local child = require "fixtures.child"
local hosts = require "support.hosts"
local start = _thread.start_joinable_thread

-- Restricts the libraries of a process, and compares what a thread can get at, and what one that it
-- starts can, with what the main thread can.
local compare = [[
  local _thread, reach = require "lthread", require "support.reach"
  package.loaded["support.reach"] = nil -- it is copied
  local print, start = print, _thread.start_joinable_thread
  local look, only_in = reach.reach, reach.only_in
  assert(start(look):result()) -- once while all is there
  %s
  local own = look()
  local found, nested = start(function() return look(), start(look):result() end):result()
  print(only_in(found, own) .. only_in(nested, own) .. "compared")
]]

local restrictions = {
  ["nothing"] = "",
  ["io.popen, os.execute and package.loadlib"] =
    "io.popen, os.execute, package.loadlib = nil, nil, nil",
  ["the library debug"] = "debug, package.loaded.debug = nil, nil",
  ["a library of which require still knows"] = "os = nil",
  ["a library that is only a global"] = "package.loaded.io = nil",
  ["io, and debug.getregistry"] = "io, package.loaded.io, debug.getregistry = nil, nil, nil",
  ["loading code"] = "load, loadfile, dofile, string.dump, package.searchpath = nil",
  ["loading C libraries"] = "package.loadlib, package.searchers[4], package.searchers[3] = nil",
  ["searchers in another order"] = "table.remove(package.searchers, 2)",
  ["all searchers"] = "package.searchers = nil",
  ["package, after its searchers"] =
    "package.searchers[3] = nil package.searchers[4] = nil "
    .. "package.loaded.package, package = nil, nil",
  ["require"] = "require = nil",
  ["require and package"] = "package.loaded.package, package, require = nil, nil, nil",
  ["the methods of strings"] = "getmetatable('').__index = nil",
  ["the metatable of strings"] = "debug.setmetatable('', nil)",
  ["strings and their metatable"] =
    "debug.setmetatable('', nil) string, package.loaded.string = nil, nil",
  ["methods of files"] = "local methods = getmetatable(io.stdout).__index methods.write = nil "
    .. "methods.lines = nil methods.close = nil",
  ["standard streams"] = "io.stdout, io.stderr = nil, nil",
  ["base functions"] = "_G.print, collectgarbage, setmetatable, rawset, warn = nil",
  ["_G by its names"] = "local _G = _G _G._G = nil package.loaded._G = nil",
  ["all but a few of a library"] = "os = { time = os.time, clock = os.clock }",
  ["a library behind a metatable"] = "os = setmetatable({}, { __index = { time = os.time } }) "
    .. "package.loaded.os = os",
  ["most"] = "local loaded = package.loaded for _, name in ipairs { 'io', 'os', 'debug', "
    .. "'package', 'load', 'loadfile', 'dofile', 'require', 'collectgarbage', 'coroutine' } do "
    .. "loaded[name] = nil _G[name] = nil end",
}
describe("A thread finds no more than its starter, which lacks", function()
  for name, restriction in pairs(restrictions) do
    it(name, function()
      assert.equal("compared\nstatus 0\n", child(compare:format(restriction)))
    end)
  end
end)

-- The host reads its script from here.
local function run_host(kind, script)
  local path = os.tmpname()
  local file <close> = io.open(path, "w")
  file:write(script)
  file:close()
  local output = hosts.run("sandboxes", kind .. " <" .. path)
  os.remove(path)
  return output
end

local reach_source = assert(io.open(package.searchpath("support.reach", package.path))):read("a")

describe("A thread finds no more than the state of a host", function()
  local compare_in_host = "local reach = (function() " .. reach_source .. " end)()\n" .. [[
    local start, look, only_in = _thread.start_joinable_thread, reach.reach, reach.only_in
    local own = look()
    local found, nested = start(function() return look(), start(look):result() end):result()
    show(only_in(found, own) .. only_in(nested, own) .. "compared")
  ]]

  for _, kind in ipairs { "bare", "unpackaged", "silent", "stringless", "restricted" } do
    it("that is " .. kind, function()
      assert.equal("compared\nstatus 0\n", run_host(kind, compare_in_host))
    end)

    it("that is " .. kind .. ", and uses lthread all the same", function()
      assert.equal("6\nTypeError\n3\nstatus 0\n", run_host(kind, [[
        local _thread = _thread
        local lock, class = _thread.allocate_lock(), _thread.TypeError
        local function f(a, b)
          local shared = _thread.shared { n = a }
          lock:acquire()
          lock:release()
          return shared.n + b, pcall(error, class "x")
        end
        local sum, _, e = _thread.start_joinable_thread(f, { args = { 2, 4 } }):result()
        show(sum)
        show(_thread.isinstance(e, class) and "TypeError" or e)
        show(_thread.start_joinable_thread(function()
          return _thread.start_joinable_thread(function() return 3 end):result()
        end):result())
      ]]))
    end)
  end

  it("from one thread to the next of the same worker", function()
    assert.equal("nil nil\nstatus 0\n", run_host("bare", [[
      local start = _thread.start_joinable_thread
      for i = 1, 20 do start(function() return os, io end):result() end
      local a, b = start(function() return tostring(os), tostring(debug) end):result()
      show(a .. " " .. b)
    ]]))
  end)
end)

local function call(f, ...)
  return start(f, { args = table.pack(...) }):result()
end

-- Fields that are set for the time of a spec.
local saved = {}

local function with_field(library, name, value)
  table.insert(saved, 1, { library, name, rawget(library, name) })
  library[name] = value
end

local function restore_fields()
  for _, field in ipairs(saved) do rawset(field[1], field[2], field[3]) end
  saved = {}
end

describe("What a script has put into a library", function()
  after_each(restore_fields)

  it("is there in a thread, and in those that it starts", function()
    with_field(string, "lt_shout", function(s) return s:upper() .. "!" end)
    local function f() return string.lt_shout("a"), ("b"):lt_shout() end
    assert.same({ "A!", "B!" }, { call(f) })
    assert.same({ "A!", "B!" }, { call(function() return start(f):result() end) })
  end)

  it("stands in a thread where it stands here", function()
    with_field(os, "execute", function() error("not here", 0) end)
    assert.same({ false, "not here" }, { call(function() return pcall(os.execute, "true") end) })
  end)

  it("takes the place of a base function, which it calls", function()
    assert.equal("guarded\t3\tguarded\t7\nstatus 0\n", child [[
      local start = require("lthread").start_joinable_thread
      local own = load
      load = function(text) return own("return 'guarded', " .. text) end
      local function f() return load("1 + 2")() end
      local a, b = start(f):result()
      local function g() return start(function() return load("7")() end):result() end
      print(a, b, start(g):result())
    ]])
  end)

  it("takes the place of require, which it calls", function()
    local own = require
    with_field(_G, "require", function(name)
      return name == "lt_spec.forbidden" and "no" or own(name)
    end)
    local function f() return require "lt_spec.forbidden", require("string") == string end
    assert.same({ "no", true }, { call(f) })
    assert.same({ "no", true }, { call(function() return start(f):result() end) })
  end)

  it("takes the place of math.random, which it calls", function()
    local own = math.random
    with_field(math, "random", function(...) return own(...) + 1000 end)
    assert.is_true(call(function() return math.random(3) end) > 1000)
  end)

  it("is as it is when the thread starts", function()
    local limit = 1
    with_field(math, "lt_limit", function() return limit end)
    assert.equal(1, call(function() return math.lt_limit() end))
    limit = 2
    assert.equal(2, call(function() return math.lt_limit() end))
    math.lt_limit = 7
    assert.equal(7, call(function() return math.lt_limit end))
  end)

  it("is not there, rather than Lua's own, if it can't cross", function()
    with_field(os, "execute", coroutine.wrap(function() end))
    with_field(string, "lt_stuck", coroutine.create(function() end))
    assert.same({ "nil", "nil" }, { call(function()
      return type(os.execute), type(string.lt_stuck)
    end) })
  end)

  it("may be a metamethod of strings", function()
    with_field(getmetatable "", "__mod", function(format, value) return format:format(value) end)
    assert.equal("<5>", call(function() return "<%d>" % 5 end))
  end)

  it("may be a whole library", function()
    with_field(_G, "io", setmetatable({}, { __index = function(_, name) return name end }))
    with_field(package.loaded, "io", io)
    assert.same({ "popen", "popen" }, { call(function()
      return io.popen, require("io").popen
    end) })
  end)

  it("raises why it can't be made there, and what else there is is there", function()
    local module = require "fixtures.needs_rename"
    with_field(os, "rename", module.rename)
    with_field(os, "clock", { module.rename })
    with_field(os, "remove", function(name) return "removed " .. name end)
    local removed, rename, clock = call(function()
      return os.remove "x", select(2, pcall(os.rename, "a", "b")).message,
        select(2, pcall(function() return os.clock.field end)).message
    end)
    assert.equal("removed x", removed)
    for name, message in pairs { rename = rename, clock = clock } do
      assert.matches("the thread's '" .. name .. "' could not be made from that of its starter: "
        .. ".*not without os%.rename", message)
    end
  end)

  it("may be a searcher among Lua's own", function()
    local searchers = { table.unpack(package.searchers) }
    table.insert(searchers, 2, function(name)
      if name == "lt_spec.magic" then return function() return { name = name } end end
      return "\n\tno magic"
    end)
    with_field(package, "searchers", searchers)
    local function f()
      local ok, reason = pcall(require, "lt_spec.no_such_module")
      return require("lt_spec.magic").name, ok, reason:find("no magic", 1, true) ~= nil,
        #package.searchers
    end
    assert.same({ "lt_spec.magic", false, true, #searchers }, { call(f) })
    assert.same({ "lt_spec.magic", false, true, #searchers }, { call(function()
      return start(f):result()
    end) })
  end)

  it("is looked at anew at each start", function()
    local function f() return type(os.rename), type(io.lines), type(string.lt_more) end
    assert.same({ "function", "function", "nil" }, { call(f) })
    with_field(os, "rename", nil)
    assert.same({ "nil", "function", "nil" }, { call(f) })
    with_field(string, "lt_more", 1)
    assert.same({ "nil", "function", "number" }, { call(f) })
    with_field(io, "lines", nil)
    assert.same({ "nil", "nil", "number" }, { call(f) })
    restore_fields()
    assert.same({ "function", "function", "nil" }, { call(f) })
  end)
end)

describe("A library function that a thread lacks", function()
  after_each(restore_fields)

  it("is looked at anew also where a new value lies where the old one was", function()
    assert.equal("nothing is old\nstatus 0\n", child([[
      local start = require "lthread".start_joinable_thread
      local path = package.path
      local function look() return package.path, string.extra ~= nil end
      for i = 1, 200 do
        local coroutine_of_extra = coroutine.create(print)
        string.extra = (function() return function() return coroutine_of_extra end end)()
        package.path = path .. ";" .. ("a"):rep(200 + i)
        assert(select(2, start(look):result()) == false) -- it can't cross
        string.extra, coroutine_of_extra, package.path = nil, nil, false
        collectgarbage()
        collectgarbage()
        string.extra = (function() return function() return i end end)()
        package.path = path .. ";" .. ("b"):rep(200 + i)
        local seen, has_extra = start(look):result()
        assert(seen == package.path and has_extra)
      end
      print "nothing is old"
    ]]))
  end)

  it("is there for who was sent it", function()
    local popen, time = io.popen, os.time
    with_field(io, "popen", nil)
    with_field(_G, "os", nil)
    assert.same({ "nil", "function", true }, { call(function()
      return type(io.popen), type(popen), time() > 0
    end) })
  end)

  it("is there for who gets it in a message", function()
    local queue = require("lthread.queue").SimpleQueue()
    with_field(_G, "os", nil)
    local thread = start(function()
      local time = queue:get()
      return type(time()), os
    end)
    restore_fields()
    queue:put(os.time)
    assert.same({ "number", nil }, { thread:result() })
  end)

  it("is there with its whole library, if that was sent", function()
    local own = os
    with_field(_G, "os", nil)
    assert.same({ "number", true }, { call(function() return type(own.time()), os == nil end) })
  end)

  it("is told of by its name, if it can't cross by its address", function()
    local queue = require("lthread.queue").SimpleQueue()
    local own = require
    with_field(_G, "require", nil)
    with_field(package.loaded, "package", nil)
    with_field(_G, "package", nil)
    local thread = start(function() return pcall(queue.get, queue) end)
    restore_fields()
    queue:put(own)
    local ok, e = thread:result()
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.RuntimeError))
    assert.matches("^cannot receive require: this thread does not have it", e.message)
  end)
end)
