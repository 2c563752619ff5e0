-- Functions cross between threads.
local transfers = require "support.transfers"
local call, echo, with_global, globals =
  transfers.call, transfers.echo, transfers.with_global, transfers.globals

transfers.clean_up()

describe("a function crosses", function()
  it("with its upvalues, as copies", function()
    local n, list = 1, { "a" }
    local inside = call(function()
      n = n + 1
      list[2] = "b"
      return n .. table.concat(list)
    end)
    assert.equal("2ab", inside)
    assert.equal(1, n)
    assert.same({ "a" }, list)
  end)

  it("if it calls itself", function()
    local function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end
    assert.equal(3628800, (call(factorial, 10)))
  end)

  it("with the upvalues that two functions share", function()
    local count = 0
    local function add() count = count + 1 end
    local function get() return count end
    assert.equal(2, (call(function(a, g)
      a()
      a()
      return g()
    end, add, get)))
    assert.equal(0, count)
    local back_add, back_get = call(function() return add, get end)
    back_add()
    assert.equal(1, back_get())
    assert.equal(0, count)
  end)

  it("with the right one of the upvalues that it shares", function()
    local first, second, third = "first", "second", "third"
    local function set(value) third = value end
    local function get() return first, second, third end
    assert.same({ "first", "second", "changed" }, { call(function(s, g)
      s "changed"
      return g()
    end, set, get) })
    assert.same({ "first", "second", "changed" }, { call(function(g, s)
      s "changed"
      return g()
    end, get, set) })
    assert.equal("third", third)
  end)

  it("if two functions call each other", function()
    local even, odd
    function even(n) return n == 0 or odd(n - 1) end
    function odd(n) return n ~= 0 and even(n - 1) end
    assert.same({ true, false }, { call(function() return even(100), odd(100) end) })
  end)

  it("once, however often it is referred to", function()
    local function f() end
    assert.is_true((call(function(t, again) return t.a == t.b and t.a == again and t[again] end,
      { a = f, b = f, [f] = true }, f)))
  end)

  it("with the globals it names, and those that they name", function()
    with_global("lt_spec_limit", 40)
    with_global("lt_spec_add", load("local n = ... return n + lt_spec_limit"))
    with_global("lt_spec_apply", load([[
      return function(...)
        local function inner(n) return lt_spec_add(n) end
        return inner(...)
      end
    ]])())
    assert.equal(42, (call(function() return lt_spec_apply(2) end))) -- luacheck: ignore
    assert.equal(43, (call(function() -- luacheck: ignore
      return (function() return (function() return lt_spec_apply(3) end)() end)() -- luacheck: ignore
    end)))
    assert.equal(41, (call(load("return lt_spec_apply(1)"))))
    assert.equal(41, (call(load(string.dump(load("return lt_spec_apply(1)"), true)))))
  end)

  it("with copies of globals, and sets its own", function()
    with_global("lt_spec_list", { 1 })
    assert.equal(2, (call(load("lt_spec_list[2] = 2; lt_spec_new = 1; return #lt_spec_list"))))
    assert.same({ 1 }, globals.lt_spec_list)
    assert.is_nil(globals.lt_spec_new)
  end)

  it("into the globals of the thread, which it shares with all that is there", function()
    assert.same({ 1, 1 }, { call(function(set, get)
      set()
      return rawget(_G, "lt_spec_" .. "new"), get()
    end, load("lt_spec_new = 1"), load("return lt_spec_new")) })
  end)

  it("with a global that it only writes", function()
    with_global("lt_spec_flag", "before")
    assert.equal("before", (call(load([[
      local before = rawget(_G, "lt_spec" .. "_flag")
      lt_spec_flag = "after"
      return before
    ]]))))
    assert.equal("before", globals.lt_spec_flag)
  end)

  it("with globals of long names, and with many of them", function()
    local name = "lt_spec_" .. ("long_"):rep(20)
    with_global(name, "long")
    assert.equal("long", (call(load("return " .. name))))
    local code = { "local sum = 0" }
    for i = 1, 300 do
      with_global("lt_spec_" .. i, i)
      code[#code + 1] = ("sum = sum + lt_spec_%d"):format(i)
    end
    code[#code + 1] = "return sum"
    assert.equal(45150, (call(load(table.concat(code, "\n")))))
  end)

  -- Which takes no longer than in proportion to their number.
  it("with very many constants, and very many names of globals", function()
    local code = { "return function() local list = {" }
    for i = 1, 200000 do
      code[#code + 1] = ("%q,"):format("constant " .. i)
    end
    code[#code + 1] = "} return #list, list[200000], tostring(1) end"
    assert.same({ 200000, "constant 200000", "1" }, { call(load(table.concat(code))()) })
    code = { "local sum = 0" }
    for i = 1, 50000 do
      code[#code + 1] = ("lt_spec_many_%d = %d"):format(i, i)
    end
    with_global("lt_spec_last", "last")
    code[#code + 1] = "return lt_spec_many_1, lt_spec_many_50000, lt_spec_last"
    assert.same({ 1, 50000, "last" }, { call(load(table.concat(code, "\n"))) })
  end)

  it("with a global of the user's own that has a standard name", function()
    local warn = globals.warn
    globals.warn = function(text) return "warned of " .. text end
    finally(function() globals.warn = warn end)
    assert.equal("warned of rain", (call(load("return warn 'rain'"))))
  end)

  it("as a result, with the globals that the thread has set", function()
    with_global("lt_spec_kept", "mine")
    with_global("lt_spec_new", nil)
    local get = call(load([[
      lt_spec_kept = "theirs"
      lt_spec_new = "new"
      return function() return lt_spec_kept, lt_spec_new end
    ]]))
    assert.same({ "theirs", "new" }, { get() })
    assert.equal("theirs", globals.lt_spec_kept)
  end)

  it("with a global function that calls itself", function()
    with_global("lt_spec_fib", load([[
      local n = ...
      return n < 2 and n or lt_spec_fib(n - 1) + lt_spec_fib(n - 2)
    ]]))
    assert.equal(55, (call(globals.lt_spec_fib, 10)))
  end)

  it("that the user has put into a standard table", function()
    string.trim = function(text) return (text:gsub("^%s+", ""):gsub("%s+$", "")) end -- luacheck: ignore
    finally(function() string.trim = nil end) -- luacheck: ignore
    package.loaded["lt_spec.new"] = {} -- so that the members of all modules are looked at again
    local trim = string.trim -- luacheck: ignore
    assert.equal("a b", (call(function() return trim("  a b ") end)))
    assert.equal("a b", (call(trim, "  a b ")))
  end)

  it("with a hundred and twenty upvalues", function()
    local code = {}
    for i = 1, 120 do
      code[#code + 1] = ("local v%d = %d"):format(i, i)
    end
    code[#code + 1] = "return function() return 0"
    for i = 1, 120 do
      code[#code + 1] = " + v" .. i
    end
    code[#code + 1] = " end"
    assert.equal(7260, (call(load(table.concat(code, "\n"))())))
  end)

  it("and tells where it is from in errors", function()
    local ok, message = call(function()
      local ok, e = pcall(function() error("here") end)
      return ok, e
    end)
    assert.is_false(ok)
    assert.truthy(message:find("transfer/function_spec.lua:%d+: here"))
  end)

  -- Which asks its environment for four names, one after the other.
  local function new_asking(index)
    return load("return { a.name, b.name, c.name, d.name }", "=code", "t",
      setmetatable({}, { __index = function(t, name)
        return #name > 1 and globals[name] or index(t, name)
      end }))
  end

  it("with fresh values that the __index of its environment returns", function()
    local asking = new_asking(function(_, name)
      collectgarbage()
      return { name = name }
    end)
    assert.same({ "a", "b", "c", "d" }, (call(asking)))
  end)

  it("whose environment takes away what was met before", function()
    local list = { { "gone" }, { "stays" } }
    local asking = new_asking(function(_, name)
      list[1] = nil
      collectgarbage()
      return { name = name }
    end)
    local got, names = call(function(t, f) return t, f() end, list, asking)
    assert.same({ "stays" }, got[2])
    assert.same({ "a", "b", "c", "d" }, names)
  end)

  it("as it is in the receiver, if it is one of the standard library", function()
    assert.same({ true, true, true, true }, { call(function(p, s, i, d)
      return p == pcall, s == string.format, i == io.write, d == debug.traceback
    end, pcall, string.format, io.write, debug.traceback) })
    assert.equal(string.format, echo(string.format))
    assert.equal(pcall, echo(pcall))
    assert.is_true((call(function(p) return p == print end, globals.print)))
  end)

  it("with the globals of the environment that it has got meanwhile", function()
    local f = load("return lt_spec_n", "=chunk", "t", {})
    with_global("lt_spec_n", 5)
    assert.is_nil((call(f)))
    debug.setupvalue(f, 1, globals)
    assert.equal(5, (call(f)))
  end)

  it("by address, if it is in C and without a name", function()
    local write = getmetatable(io.stdout).__index.write
    assert.equal(write, echo(write))
    assert.equal(getmetatable(io.stdout).__gc, echo(getmetatable(io.stdout).__gc))
  end)
end)
