-- The system, and what programs are built of: classes, lists, events, tests.
return {
  {
    name = "lfs",
    package = "lua-filesystem",
    use = function(lfs)
      local count = 0
      for name in lfs.dir "/" do
        if name == "usr" then count = count + 1 end
      end
      return count, lfs.attributes("/", "mode")
    end,
    objects = {
      {
        what = "a function",
        make = function(lfs) return lfs.attributes end,
        use = function(attributes) return attributes("/", "mode") end,
      },
      { what = "a directory", make = function(lfs) return select(2, lfs.dir "/") end },
    },
  },
  {
    name = "system",
    package = "lua-system",
    use = function(system) return math.type(system.gettime()), system.monotime() > 0 end,
    objects = {
      {
        what = "a function",
        make = function(system) return system.monotime end,
        use = function(monotime) return math.type(monotime()) end,
      },
    },
  },
  {
    name = "pl.class",
    package = "lua-penlight",
    use = function(class)
      local Animal = class()
      function Animal:_init(name) self.name = name end
      local Dog = class(Animal)
      function Dog:speak() return self.name .. " barks" end
      local rex = Dog "Rex"
      return rex:speak(), rex:is_a(Animal), Dog:class_of(rex)
    end,
    objects = {
      {
        what = "an object with its class",
        make = function(class)
          local Animal = class()
          function Animal:_init(name) self.name = name end
          function Animal:speak() return self.name .. " speaks" end
          return { Animal, Animal "Rex" }
        end,
        use = function(both)
          local Animal, rex = both[1], both[2]
          return rex:speak(), rex:is_a(Animal), getmetatable(rex) == Animal
        end,
      },
    },
  },
  {
    name = "pl.List",
    package = "lua-penlight",
    use = function(List)
      return tostring(List { 3, 1, 2 }:sort()), List.range(1, 4):reduce "+"
    end,
    objects = {
      {
        what = "a list",
        make = function(List) return List { 1, 2, 3 } end,
        use = function(list)
          return tostring(list:reverse()), list:is_a(require "pl.List"), #list
        end,
      },
    },
  },
  {
    name = "pl.OrderedMap",
    package = "lua-penlight",
    use = function(OrderedMap)
      local map = OrderedMap()
      map:set("z", 1)
      map:set("a", 2)
      return tostring(map)
    end,
    objects = {
      {
        what = "a map",
        make = function(OrderedMap)
          local map = OrderedMap()
          map:set("z", 1)
          map:set("a", 2)
          return map
        end,
        use = function(map)
          map:set("b", 3)
          return tostring(map), getmetatable(map) == require "pl.OrderedMap"
        end,
      },
    },
  },
  {
    name = "pl.stringx",
    package = "lua-penlight",
    use = function(stringx) return stringx.strip "  x ", tostring(stringx.split "a b c") end,
    objects = {
      {
        what = "a function",
        make = function(stringx) return stringx.title end,
        use = function(title) return title "hello world" end,
      },
    },
  },
  {
    name = "pl.pretty",
    package = "lua-penlight",
    use = function(pretty) return pretty.write({ 1, a = 2 }, ""), pretty.read "{1, 2}"[2] end,
    objects = {
      {
        what = "a function",
        make = function(pretty) return pretty.write end,
        use = function(write) return write({ 1 }, "") end,
      },
    },
  },
  {
    name = "mediator",
    package = "lua-mediator",
    use = function(mediator)
      local events, heard = mediator(), nil
      events:subscribe({ "event" }, function(value) heard = value end)
      events:publish({ "event" }, 7)
      return heard
    end,
    objects = {
      {
        what = "a mediator with a subscriber",
        make = function(mediator)
          local events = mediator()
          events:subscribe({ "event" }, function(list) list[#list + 1] = "heard" end)
          return events
        end,
        use = function(events)
          local list = {}
          events:publish({ "event" }, list)
          return list[1]
        end,
      },
    },
  },
  {
    name = "luaunit",
    package = "lua-unit",
    use = function(luaunit)
      return pcall(luaunit.assertEquals, { 1 }, { 1 }), (pcall(luaunit.assertEquals, 1, 2)),
        luaunit.prettystr { 1, 2 }
    end,
    objects = {
      {
        what = "a function",
        make = function(luaunit) return luaunit.assertEquals end,
        use = function(assert_equals) return (pcall(assert_equals, 1, 2)) end,
      },
    },
  },
  {
    name = "luassert",
    package = "lua-luassert",
    use = function(luassert)
      luassert.are.same({ 1 }, { 1 })
      return (pcall(luassert.are.equal, 1, 2)), (pcall(luassert.is_true, true))
    end,
    objects = {
      {
        what = "a function",
        make = function(luassert) return luassert.is_true end,
        use = function(is_true) return (pcall(is_true, false)) end,
      },
    },
  },
}
