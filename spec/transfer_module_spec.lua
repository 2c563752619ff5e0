-- Modules, what is in them, and objects whose class is one cross between threads.
local _thread = require "lthread"
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

  it("and raises in the thread if it lacks the member there", function()
    local module = new_module("lt_spec.fuller", function() return { list = {} } end)
    module.list.extra = function() end
    _thread.set_excepthook(nothing)
    local handle = _thread.start_joinable_thread(nothing, { args = { module.list.extra } })
    local ok, e = pcall(handle.result, handle)
    _thread.set_excepthook(nil)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.RuntimeError), tostring(e))
    assert.equal("cannot receive lt_spec.fuller.list.extra: "
      .. "module 'lt_spec.fuller' has no such member in this thread", e.message)
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
    package.loaded["lt_spec.missing"] = { f = function() end }
    _thread.set_excepthook(nothing)
    local handle = _thread.start_joinable_thread(nothing,
      { args = { package.loaded["lt_spec.missing"] } })
    local ok, e = pcall(handle.result, handle)
    _thread.set_excepthook(nil)
    assert.is_false(ok)
    assert.is_true(_thread.isinstance(e, _thread.RuntimeError), tostring(e))
    assert.truthy(e.message:find("cannot receive lt_spec.missing", 1, true), e.message)
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
