-- Formats, databases, compression.
return {
  {
    name = "cjson",
    package = "lua-cjson",
    use = function(cjson)
      local value = cjson.decode '{"a": [1, 2, null]}'
      return cjson.encode { 1, 2, cjson.null }, #value.a, value.a[3] == cjson.null
    end,
    objects = {
      {
        what = "null",
        make = function(cjson) return { cjson.null } end,
        use = function(list) return list[1] == require "cjson".null end,
      },
      {
        what = "a function that has the encoder as an upvalue",
        make = function(cjson) return function(value) return cjson.encode(value) end end,
        use = function(encode) return encode { 1 } end,
      },
    },
  },
  {
    name = "dkjson",
    package = "lua-dkjson",
    use = function(dkjson)
      return dkjson.encode { 1, "two", dkjson.null }, dkjson.decode '{"a": 1}'.a
    end,
    objects = {
      {
        what = "null",
        make = function(dkjson) return { dkjson.null } end,
        use = function(list) return list[1] == require "dkjson".null end,
      },
      {
        what = "a decoded value",
        make = function(dkjson) return dkjson.decode '{"a": [1, 2]}' end,
        use = function(value) return #value.a, getmetatable(value).__jsontype end,
      },
    },
  },
  {
    name = "lyaml",
    package = "lua-yaml",
    use = function(lyaml) return lyaml.load "a: [1, 2]".a[2], lyaml.dump { { 1 } } end,
    objects = {
      {
        what = "a function",
        make = function(lyaml) return lyaml.load end,
        use = function(load) return load "a: 1".a end,
      },
      {
        what = "null",
        make = function(lyaml) return lyaml.load "[~]" end,
        use = function(list) return list[1] == require "lyaml".null end,
      },
    },
  },
  {
    name = "MessagePack",
    package = "lua-messagepack",
    use = function(messagepack)
      return messagepack.unpack(messagepack.pack { 1, "two", { 3 } })[3][1]
    end,
    objects = {
      {
        what = "a function",
        make = function(messagepack) return messagepack.pack end,
        use = function(pack) return pack { 1 } end,
      },
    },
  },
  {
    name = "luasql.sqlite3",
    package = "lua-sql-sqlite3",
    use = function(luasql)
      local environment = luasql.sqlite3()
      local connection = environment:connect ":memory:"
      connection:execute "CREATE TABLE t (n INTEGER)"
      for i = 1, 3 do connection:execute("INSERT INTO t VALUES (" .. i .. ")") end
      local cursor = connection:execute "SELECT SUM(n) FROM t"
      local sum = cursor:fetch()
      cursor:close()
      connection:close()
      environment:close()
      return sum
    end,
    objects = {
      {
        what = "a connection",
        make = function(luasql) return luasql.sqlite3():connect ":memory:" end,
      },
    },
  },
  {
    name = "zlib",
    package = "lua-zlib",
    use = function(zlib)
      local text = ("text "):rep(100)
      local packed = zlib.deflate()(text, "finish")
      return #packed < #text, zlib.inflate()(packed) == text
    end,
    objects = {
      {
        what = "a function",
        make = function(zlib) return zlib.crc32 end,
        use = function(crc32) return crc32() "abc" end,
      },
      { what = "a stream", make = function(zlib) return zlib.deflate() end },
    },
  },
  {
    name = "lxp",
    package = "lua-expat",
    use = function(lxp)
      local seen = {}
      local parser = lxp.new {
        StartElement = function(_, name) seen[#seen + 1] = name end,
      }
      parser:parse "<a><b/><c/></a>"
      parser:parse()
      parser:close()
      return table.concat(seen, " ")
    end,
    objects = {
      { what = "a parser", make = function(lxp) return lxp.new {} end },
    },
  },
  {
    name = "lxp.lom",
    package = "lua-expat",
    use = function(lom) return lom.parse "<a><b c='1'/></a>"[1].attr.c end,
    objects = {
      {
        what = "a document",
        make = function(lom) return lom.parse "<a><b c='1'/></a>" end,
        use = function(document) return document.tag, document[1].attr.c end,
      },
    },
  },
  {
    name = "basexx",
    package = "lua-basexx",
    use = function(basexx) return basexx.to_base32 "abc", basexx.from_hex "616263" end,
    objects = {
      {
        what = "a function",
        make = function(basexx) return basexx.to_base64 end,
        use = function(encode) return encode "abc" end,
      },
    },
  },
  {
    name = "binaryheap",
    package = "lua-binaryheap",
    use = function(binaryheap)
      local heap = binaryheap.minHeap()
      for _, n in ipairs { 3, 1, 2 } do heap:insert(n) end
      return heap:pop(), heap:pop(), heap:pop()
    end,
    objects = {
      {
        what = "a heap",
        make = function(binaryheap)
          local heap = binaryheap.minHeap()
          heap:insert(2)
          heap:insert(1)
          return heap
        end,
        use = function(heap) return heap:pop(), heap:pop() end,
      },
    },
  },
  {
    name = "fifo",
    package = "lua-fifo",
    use = function(fifo)
      local queue = fifo()
      queue:push "a"
      queue:push "b"
      return queue:pop(), queue:length()
    end,
    objects = {
      {
        what = "a fifo",
        make = function(fifo) return fifo("a", "b") end,
        use = function(queue) return queue:pop(), queue:pop() end,
      },
    },
  },
  {
    name = "inspect",
    package = "lua-inspect",
    use = function(inspect) return inspect { 1, a = { "b" } } end,
    objects = {
      {
        what = "the module's metatable for keys",
        make = function(inspect) return inspect.KEY end,
        use = function(key) return key == require "inspect".KEY end,
      },
    },
  },
}
