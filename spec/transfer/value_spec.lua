-- Plain values and tables cross between threads.
local transfers = require "support.transfers"
local call, echo = transfers.call, transfers.echo

describe("a plain value crosses", function()
  it("with its type", function()
    local values = table.pack(nil, true, false, 0, 1, -1, 2 ^ 53, 1.5, "", "text")
    local back = table.pack(call(function(...)
      local types = {}
      for i = 1, select("#", ...) do
        local value = select(i, ...)
        types[i] = math.type(value) or type(value)
      end
      return types, ...
    end, table.unpack(values, 1, values.n)))
    assert.equal(values.n + 1, back.n)
    for i = 1, values.n do
      assert.equal(values[i], back[i + 1])
      assert.equal(math.type(values[i]) or type(values[i]), back[1][i])
      assert.equal(math.type(values[i]), math.type(back[i + 1]))
    end
  end)

  it("bit for bit if it is a number", function()
    local numbers = { math.mininteger, math.maxinteger, 0.0, -0.0, math.huge, -math.huge, 0.1,
      5e-324, 1.7976931348623157e308, 0 / 0, -(0 / 0), string.unpack("d", "\1\2\3\0\0\0\xf8\x7f") }
    for _, number in ipairs(numbers) do
      local format = math.type(number) == "integer" and "j" or "n"
      local inside, back = call(function(n) return string.pack(format, n), n end, number)
      assert.equal(string.pack(format, number), inside)
      assert.equal(string.pack(format, number), string.pack(format, back))
      assert.equal(math.type(number), math.type(back))
    end
  end)

  it("with every byte if it is a string", function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    all = table.concat(all)
    for _, text in ipairs{ "", "\0", "a\0b\0", all, all:rep(10000) } do
      assert.is_true(echo(text) == text)
    end
  end)

  it("whole if it is a long string, once however often it is referred to", function()
    for _, length in ipairs { 4095, 4096, 4097, 1000003 } do
      local text = ("\0long\n"):rep(length // 6 + 1):sub(1, length)
      assert.is_true(text == echo(text))
      local list, at = call(function(t) return t, t[text] end, { text, [text] = text, { text } })
      assert.is_true(text == list[1] and text == list[2][1])
      assert.is_true(text == list[text] and text == at)
    end
  end)

  it("with every other string around it, if many of them repeat", function()
    local list = {}
    for i = 1, 3000 do
      list[i] = { name = "item" .. i % 97, ["key" .. i % 101] = "value", i = i }
    end
    assert.same(list, echo(list))
  end)

  it("with its address if it is a light userdata", function()
    local light = debug.upvalueid(call, 1)
    assert.equal("userdata", type(light))
    assert.equal(light, echo(light))
    assert.equal(1, echo({ [light] = 1 })[light])
  end)
end)

describe("a table crosses", function()
  it("as a copy", function()
    local t = { 1, 2, { x = "y" }, [10] = true, [1.5] = "f", [false] = 0, nested = { {} } }
    local count, back = call(function(v)
      v[1] = 99
      v.added = true
      return #v[3], v
    end, t)
    assert.equal(0, count)
    assert.same({ 99, 2, { x = "y" }, [10] = true, [1.5] = "f", [false] = 0, nested = { {} },
      added = true }, back)
    assert.equal(1, t[1])
    assert.is_nil(t.added)
  end)

  it("with holes", function()
    local back = echo({ 1, nil, 3, nil, nil, 6 })
    assert.equal(1, back[1])
    assert.is_nil(back[2])
    assert.equal(3, back[3])
    assert.equal(6, back[6])
  end)

  it("with integers in whatever order Lua keeps them", function()
    assert.same({ [0] = "zero", [1] = "one", [2] = "two" },
      echo({ [0] = "zero", [1] = "one", [2] = "two" }))
    for count = 1, 40 do
      local t = {}
      for i = count, -count, -1 do
        t[i] = -i
      end
      local back = echo(t)
      for i = -count, count do
        assert.equal(-i, back[i])
      end
      assert.equal(count, #back)
    end
  end)

  it("100,000 levels deep", function()
    local deep = {}
    for level = 1, 100000 do
      deep = { deep, level }
    end
    local back = echo(deep)
    for level = 100000, 1, -1 do
      if back[2] ~= level then
        assert.equal(level, back[2])
      end
      back = back[1]
    end
    assert.same({}, back)
  end)

  it("deep by its keys and its metatables", function()
    local deep = {}
    for _ = 1, 1000 do
      deep = setmetatable({ [deep] = true }, { __name = "level", inner = { deep } })
    end
    assert.equal(1000, (call(function(back)
      local levels = 0
      while next(back) do
        local inner = getmetatable(back).inner[1]
        back = next(back)
        assert(inner == back)
        levels = levels + 1
      end
      return levels
    end, deep)))
  end)

  it("with a million entries", function()
    local t = {}
    for i = 1, 1000000 do
      t[i] = i
    end
    local sum, count = call(function(v)
      local total = 0
      for i = 1, #v do
        total = total + v[i]
      end
      return total, #v
    end, t)
    assert.equal(1000000, count)
    assert.equal(500000500000, sum)
  end)

  it("with its cycles", function()
    local a, b = {}, {}
    a.self, a.b, b.a = a, b, a
    b[b] = b
    local inside, back = call(function(v)
      return v.self == v and v.b.a == v and v.b[v.b] == v.b, v
    end, a)
    assert.is_true(inside)
    assert.equal(back, back.self)
    assert.equal(back, back.b.a)
    assert.equal(back.b, back.b[back.b])
    assert.are_not.equal(a, back)
  end)

  it("once, however often it is referred to, also by several arguments", function()
    local shared = { n = 1 }
    local same, n = call(function(list, again)
      list[1].n = 2
      return list[1] == list[2].deep and again == list[1] and list.f() == again, again.n
    end, { shared, { deep = shared }, f = function() return shared end }, shared)
    assert.is_true(same)
    assert.equal(2, n)
    assert.equal(1, shared.n)
  end)

  it("as a key", function()
    local key = { "key" }
    local found, back = call(function(k, t) return t[k], t end, key, { [key] = "value" })
    assert.equal("value", found)
    assert.same({ "key" }, (next(back)))
  end)

  it("with its metatable", function()
    local doubling = setmetatable({ 1 }, {
      __index = function(_, k) return k * 2 end,
      __len = function() return 77 end,
      __call = function(self, n) return self[1] + n end,
      __metatable = false,
    })
    assert.same({ 1, 14, 77, 6, false }, { call(function(t)
      return t[1], t[7], #t, t(5), getmetatable(t)
    end, doubling) })
  end)

  it("without having its metamethods run on the way", function()
    local trap = function() error("it ran") end
    local t = setmetatable({ a = 1 }, { __index = trap, __newindex = trap, __pairs = trap,
      __len = trap, __eq = trap, __tostring = trap })
    local a, raw = call(function(v) return v.a, rawlen(v) end, t)
    assert.equal(1, a)
    assert.equal(0, raw)
  end)

  it("with its mode if it is weak", function()
    local mode, left = call(function(t)
      collectgarbage()
      collectgarbage()
      return getmetatable(t).__mode, next(t)
    end, setmetatable({ { "nobody else has it" } }, { __mode = "v" }))
    assert.equal("v", mode)
    assert.is_nil(left)
  end)

  it("that shares a metatable with another one", function()
    local meta = { __index = { kind = "thing" } }
    local same, kind = call(function(a, b)
      return getmetatable(a) == getmetatable(b), b.kind
    end, setmetatable({}, meta), setmetatable({}, meta))
    assert.is_true(same)
    assert.equal("thing", kind)
  end)

  it("that is its own metatable", function()
    local t = { __index = function() return "own" end }
    setmetatable(t, t)
    local same, own = call(function(v) return getmetatable(v) == v, v.anything end, t)
    assert.is_true(same)
    assert.equal("own", own)
  end)

  it("that is a class with an instance of itself inside", function()
    local Class = { count = 3 }
    Class.__index = Class
    function Class:get() return self.count end
    Class.default = setmetatable({}, Class)
    Class.list = { setmetatable({ count = 9 }, Class), Class.default }
    local same, one, two, three = call(function(object)
      local class = getmetatable(object)
      return class.default == class.list[2] and getmetatable(class.list[1]) == class
        and getmetatable(class.default) == class, object:get(), class.default:get(),
        class.list[1]:get()
    end, setmetatable({ count = 5 }, Class))
    assert.is_true(same)
    assert.same({ 5, 3, 9 }, { one, two, three })
  end)
end)
