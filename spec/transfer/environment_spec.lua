-- What becomes of a function's environment in another thread.
local _thread = require "lthread"
local transfers = require "support.transfers"
local call, echo, with_global, globals =
  transfers.call, transfers.echo, transfers.with_global, transfers.globals

transfers.clean_up()

-- What a chunk sees that must not leave its sandbox.
local look = [[
  local found = {}
  local names = { "os", "io", "require", "load", "debug", "_G", "getmetatable", "package" }
  for _, name in ipairs(names) do
    if _ENV[name] ~= nil then found[#found + 1] = name end
  end
  return tostring(#found), os == nil, lt_spec_secret
]]

local function load_in(environment, code)
  return assert(load(code or look, "=sandbox", "t", environment))
end

local whitelist = { ipairs = ipairs, tostring = tostring, upper = string.upper }

describe("a sandbox is not left", function()
  before_each(function() with_global("lt_spec_secret", "secret") end)

  local function reading(t)
    return function(_, name) return t[name] end
  end

  local environments = {
    ["a table of its own"] = function() return whitelist end,
    ["a table with a whitelist behind it"] = function()
      return setmetatable({}, { __index = whitelist })
    end,
    ["a whitelist behind another table"] = function()
      return setmetatable({}, { __index = setmetatable({}, { __index = whitelist }) })
    end,
    ["a function that reads a whitelist"] = function()
      return setmetatable({}, { __index = reading(whitelist) })
    end,
    ["a function behind a table"] = function()
      return setmetatable({}, { __index = setmetatable({}, { __index = reading(whitelist) }) })
    end,
    ["a function that refuses other names"] = function()
      return setmetatable({}, { __index = function(_, name)
        if name == "_G" then error "no such global" end
        return whitelist[name]
      end })
    end,
    ["a shared table"] = function()
      return setmetatable({}, { __index = _thread.shared {
        ipairs = ipairs, tostring = tostring } })
    end,
  }

  for what, new in pairs(environments) do
    it("if it is " .. what, function()
      local found, without_os, secret
      if what:find "refuses" then
        found, without_os, secret = call(load_in(new(), "return '0', os == nil, lt_spec_secret"))
      else
        found, without_os, secret = call(load_in(new()))
      end
      assert.same({ "0", true }, { found, without_os })
      assert.is_nil(secret)
      -- Nor on the way back.
      local back = echo(load_in(new(), "return os == nil, lt_spec_secret"))
      assert.same({ true }, { back() })
    end)
  end

  it("if its own _G is itself", function()
    local own = { print = print }
    own._G = own
    for _, index in ipairs { whitelist, reading(whitelist) } do
      setmetatable(own, { __index = index })
      assert.same({ true, true, "X" }, { call(load_in(own,
        "return _G.os == nil, _G == _ENV, _G.upper 'x'")) })
    end
  end)

  it("by a function that was made in it", function()
    local make = load_in(setmetatable({}, { __index = whitelist }),
      "return function() n = (n or 0) + 1 return n, os, upper 'x' end")
    assert.same({ 1, nil, "X" }, { call(make()) })
    assert.same({ 2, nil, "X" }, { call(function(f) f() return f() end, make()) })
    assert.is_nil(globals.n)
  end)

  it("by functions that share it", function()
    local environment = setmetatable({}, { __index = whitelist })
    local set, get = load_in(environment, "n = ..."), load_in(environment, "return n, os")
    assert.same({ 5 }, { call(function(s, g) s(5) return g() end, set, get) })
    assert.same({ true }, { call(function(s) s(5) return rawget(_G, "n") == nil end, set) })
  end)
end)

describe("an environment that falls back on _G becomes that of the receiver", function()
  local function check(environment)
    with_global("lt_spec_limit", 5)
    local set = load_in(environment, "lt_spec_set = 1 return lt_spec_limit, os.time ~= nil")
    assert.same({ 5, true, 1 }, { call(function(f)
      local limit, has_os = f()
      return limit, has_os, rawget(_G, "lt_spec" .. "_set")
    end, set) })
    assert.is_nil(globals.lt_spec_set)
  end

  it("at once", function()
    check(globals)
    check(setmetatable({}, { __index = globals }))
  end)

  it("behind other tables", function()
    local chain = globals
    for _ = 1, 10 do chain = setmetatable({}, { __index = chain }) end
    check(chain)
  end)

  it("by a function", function()
    check(setmetatable({}, { __index = function(_, name) return globals[name] end }))
  end)

  it("and what stands before _G goes along", function()
    with_global("lt_spec_limit", 5)
    local environment = setmetatable({ lt_spec_limit = 6 }, { __index = globals })
    assert.equal(6, (call(load_in(environment, "return lt_spec_limit"))))
  end)

  it("unless its chain has no end", function()
    local first, second = {}, {}
    setmetatable(first, { __index = setmetatable(second, { __index = first }) })
    first.answer = 42
    assert.equal(42, (call(load_in(second, "return answer"))))
  end)
end)
