-- Modules, what is in them, and objects whose class is one cross between threads.
local _thread = require "lthread"
local queue = require "lthread.queue"
local Point = require "fixtures.class"
local transfers = require "support.transfers"
local call, echo, new_module = transfers.call, transfers.echo, transfers.new_module

transfers.clean_up()

local function nothing() end

describe("a module crosses", function()
  it("by name, as an upvalue and as an argument", function()
    local str, inout, system = string, io, os
    assert.same({ true, true, true, "X" }, { call(function(arg)
      return str == string, inout == io and inout.stdout == io.stdout, system == os and arg == math,
        str.upper("x")
    end, math) })
  end)

  it("with its members, standard streams among them", function()
    assert.is_true((call(function(f, g) return f == io.stdout and g == io.stderr end, io.stdout,
      io.stderr)))
    assert.equal(io.stdout, echo({ io.stdout })[1])
    assert.equal(package.loaded, echo(package.loaded))
    assert.equal(_thread, echo(_thread))
  end)

  it("if the receiver has to load it first", function()
    local first, second = call(function()
      local before = package.loaded["fixtures.class"] == nil
      return before, _thread.start_joinable_thread(function() return Point.new(2, 3):sum() end)
        :result()
    end)
    assert.equal("boolean", type(first))
    assert.equal(5, second)
  end)

  it("with what lies deep inside of it, and with metatables that it does not show", function()
    local module = new_module("lt_spec.deep", function()
      local hidden = { __index = { kind = "hidden" } }
      return {
        inner = { inner = { f = function() end } },
        default = setmetatable({}, hidden),
        new = function() return setmetatable({}, hidden) end,
      }
    end)
    assert.same({ true, true, "hidden" }, { call(function(f, object)
      local own = require "lt_spec.deep"
      return f == own.inner.inner.f, getmetatable(object) == getmetatable(own.default), object.kind
    end, module.inner.inner.f, module.new()) })
  end)

  it("without what was its member once", function()
    local module = new_module("lt_spec.changing", function() return {} end)
    module.extra = function() return "extra" end
    local extra = module.extra
    assert.equal(module, echo(module))
    module.extra = nil
    assert.equal("extra", (call(extra)))
  end)

  it("and ends the thread if it calls exit when it is loaded there", function()
    local module = new_module("lt_spec.leaving", function()
      if _thread.get_ident() ~= _thread._get_main_thread_ident() then
        _thread.exit()
      end
      return {}
    end)
    local handle = _thread.start_joinable_thread(nothing, { args = { module } })
    local ok, e = pcall(handle.result, handle)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.SystemExit), tostring(e))
  end)

  it("and raises in the thread if it can't be loaded there", function()
    local module = new_module("lt_spec.missing", function()
      if _thread.get_ident() ~= _thread._get_main_thread_ident() then
        error("only in the main thread", 0)
      end
      return { f = function() end }
    end)
    _thread.set_excepthook(nothing)
    local handle = _thread.start_joinable_thread(nothing, { args = { module } })
    local ok, e = pcall(handle.result, handle)
    _thread.set_excepthook(nil)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.RuntimeError), tostring(e))
    assert.equal("cannot receive lt_spec.missing: only in the main thread", e.message)
  end)
end)

describe("a module with several names", function()
  -- As luasocket: socket takes the table of socket.core and adds to it.
  local function new_pair(core, name)
    transfers.new_module(core, function() return { open = function() return "open" end } end)
    return transfers.new_module(name, function()
      local module = require(core)
      function module.bind() return "bound" end
      return module
    end)
  end

  it("arrives whole, whatever the names are", function()
    for i = 1, 30 do
      local before = new_pair("lt_spec.a_core" .. i, "lt_spec.net" .. i)
      local after = new_pair("lt_spec.net" .. i .. ".core", "lt_spec.a" .. i)
      assert.same({ "bound", "open", "bound", "open" }, { call(function(module)
        return before.bind(), before.open(), module.bind(), module.open()
      end, after) })
    end
  end)

  it("has them all in the receiver", function()
    local module = new_pair("lt_spec.net.core", "lt_spec.net")
    assert.same({ true, true }, { call(function(m)
      return package.loaded["lt_spec.net"] == m, package.loaded["lt_spec.net.core"] == m
    end, module) })
  end)

  it("arrives by the one that can be loaded, if others were given to it by hand", function()
    for i = 1, 20 do
      local module = transfers.new_module("lt_spec.real" .. i, function() return { i } end)
      package.loaded["lt_spec.alias" .. i] = module
      package.loaded["lt_spec.z_alias" .. i] = module
      assert.equal(i, (call(function() return module[1] end)))
    end
  end)

  it("raises in the thread if one of them breaks there", function()
    local module = new_pair("lt_spec.net.core", "lt_spec.net")
    package.preload["lt_spec.net.core"] = function() error("no network", 0) end
    _thread.set_excepthook(nothing)
    local handle = _thread.start_joinable_thread(nothing, { args = { module } })
    local ok, e = pcall(handle.result, handle)
    _thread.set_excepthook(nil)
    assert.is_false(ok)
    assert.matches("^cannot receive lt_spec.net: .*no network", e.message)
  end)
end)

describe("a module that others extend arrives with what they have added", function()
  local function new_app()
    return transfers.new_module("lt_spec.app", function() return { base = true } end)
  end

  it("if the other returns it", function()
    local app = new_app()
    local Model = transfers.new_module("lt_spec.app.model", function()
      local own = require "lt_spec.app"
      own.Model = {}
      own.Model.__index = own.Model
      function own.Model.new(x) return setmetatable({ x = x }, own.Model) end
      function own.Model:get() return self.x end
      return own.Model
    end)
    assert.equal(5, (call(function() return app.Model.new(5):get() end)))
    assert.equal(7, (call(function(model) return model:get() end, Model.new(7))))
    assert.same({ true, true }, { call(function(a) return a.base, a.Model == Model end, app) })
  end)

  it("if the other returns nothing and has any name", function()
    local app = new_app()
    transfers.new_module("lt_spec.greetings", function()
      local own = require "lt_spec.app"
      function own.hello() return "hello" end
    end)
    assert.equal("hello", (call(function() return app.hello() end)))
  end)

  it("if it is put into a table of the module", function()
    local app = transfers.new_module("lt_spec.app", function() return { util = {} } end)
    transfers.new_module("lt_spec.trimming", function()
      local util = require("lt_spec.app").util
      function util.trim(text) return text:match "^%s*(.-)%s*$" end
    end)
    assert.equal("x", (call(function() return app.util.trim " x " end)))
    assert.equal("x", (call(app.util.trim, " x ")))
  end)

  it("if it is a constant, and the other a part by its name", function()
    local app = new_app()
    transfers.new_module("lt_spec.app.constants", function()
      require("lt_spec.app").PI = 3
      return true
    end)
    assert.equal(3, (call(function() return app.PI end)))
  end)

  it("if it is in a file", function()
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir -p " .. directory .. "/lt_spec/plug"))
    local path = package.path
    finally(function()
      package.path = path
      os.execute("rm -r " .. directory)
    end)
    package.path = directory .. "/?.lua;" .. directory .. "/?/init.lua;" .. path
    local function write(name, code)
      local file <close> = assert(io.open(directory .. "/" .. name, "w"))
      file:write(code)
    end
    write("lt_spec/base.lua", "return {}")
    write("lt_spec/more.lua", [[
      local base = require "lt_spec.base"
      function base.one() return 1 end
    ]])
    write("lt_spec/plug/init.lua", [[
      local base = require "lt_spec.base"
      function base.two() return 2 end
    ]])
    local base = require "lt_spec.base"
    require "lt_spec.more"
    require "lt_spec.plug"
    assert.same({ 1, 2 }, { call(function() return base.one(), base.two() end) })
  end)

  it("also when the receiver had it without that", function()
    local app = new_app()
    package.preload["lt_spec.greetings"] = function()
      local own = require "lt_spec.app"
      function own.hello() return "hello" end
    end
    local ready, later = queue.SimpleQueue(), queue.SimpleQueue()
    local handle = _thread.start_joinable_thread(function()
      local before = require "lt_spec.app".hello
      ready:put(before)
      return later:get()[1].hello()
    end)
    assert.is_nil(ready:get())
    require "lt_spec.greetings"
    later:put { app }
    local ok, e = pcall(handle.result, handle)
    assert.is_true(ok, tostring(e))
    assert.equal("hello", e)
  end)

  it("and nothing else is loaded for it", function()
    local app = new_app()
    transfers.new_module("lt_spec.app.main", function() return { run = function() end } end)
    assert.same({ true, true }, { call(function()
      return app.base, package.loaded["lt_spec.app.main"] == nil
    end) })
  end)

  it("or raises in the thread if they can't be loaded there", function()
    local app = new_app()
    transfers.new_module("lt_spec.greetings", function()
      if _thread.get_ident() ~= _thread._get_main_thread_ident() then
        error("only in the main thread", 0)
      end
      local own = require "lt_spec.app"
      function own.hello() return "hello" end
    end)
    _thread.set_excepthook(nothing)
    local handle = _thread.start_joinable_thread(nothing, { args = { app } })
    local ok, e = pcall(handle.result, handle)
    _thread.set_excepthook(nil)
    assert.is_false(ok)
    assert.matches("^cannot receive lt_spec.app: 'lt_spec.greetings', .*only in the main thread",
      e.message)
  end)
end)

describe("an object whose class is a module", function()
  it("has the receiver's own class", function()
    local same, sum = call(function(point)
      return getmetatable(point) == require("fixtures.class"), point:sum()
    end, Point.new(3, 4))
    assert.is_true(same)
    assert.equal(7, sum)
  end)

  it("comes back with the sender's class", function()
    local back = echo(Point.new(1, 2))
    assert.equal(Point, getmetatable(back))
    assert.equal(5, (back + Point.new(1, 1)):sum())
    assert.equal(Point, echo(Point))
    assert.equal(Point.origin, echo(Point.origin))
  end)

  it("works with the class as an upvalue", function()
    local x, class = call(function(point)
      local sum = point + Point.new(10, 10) + Point.origin
      return sum.x, getmetatable(sum) == Point
    end, Point.new(1, 1))
    assert.equal(11, x)
    assert.is_true(class)
  end)
end)
