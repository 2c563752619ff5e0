-- Sockets, servers and event loops.
return {
  {
    name = "socket",
    package = "lua-socket",
    use = function(socket)
      local server = assert(socket.bind("127.0.0.1", 0))
      local _, port = server:getsockname()
      local client = assert(socket.connect("127.0.0.1", port))
      local accepted = assert(server:accept())
      client:send "hello\n"
      local line = accepted:receive "*l"
      for _, open in ipairs { accepted, client, server } do open:close() end
      return line, socket._VERSION
    end,
    objects = {
      {
        what = "a function",
        make = function(socket) return socket.gettime end,
        use = function(gettime) return math.type(gettime()) end,
      },
      { what = "a server", make = function(socket) return socket.bind("127.0.0.1", 0) end },
    },
  },
  {
    name = "mime",
    package = "lua-socket",
    use = function(mime) return mime.b64 "some text", (mime.qp "=") end,
    objects = {
      {
        what = "a function",
        make = function(mime) return mime.unb64 end,
        use = function(unb64) return (unb64 "c29tZSB0ZXh0") end,
      },
      { what = "a filter", make = function(mime) return mime.encode "base64" end,
        use = function(encode) return (encode "abc") end },
    },
  },
  {
    name = "socket.url",
    package = "lua-socket",
    use = function(url)
      local parsed = url.parse "http://user@host:80/path?query#fragment"
      return parsed.host, parsed.path, url.escape "a b", url.build(parsed)
    end,
    objects = {
      {
        what = "a parsed address",
        make = function(url) return url.parse "http://host/path" end,
        use = function(parsed) return parsed.host, parsed.path end,
      },
    },
  },
  {
    name = "ltn12",
    package = "lua-socket",
    use = function(ltn12)
      local parts = {}
      ltn12.pump.all(ltn12.source.string "some text", (ltn12.sink.table(parts)))
      return table.concat(parts)
    end,
    objects = {
      {
        what = "a source",
        make = function(ltn12) return ltn12.source.string "some text" end,
        use = function(source) return source() end,
      },
    },
  },
  {
    name = "ssl",
    package = "lua-sec",
    use = function(ssl)
      local context = assert(ssl.newcontext { mode = "client", protocol = "any" })
      return type(context), ssl._VERSION
    end,
    objects = {
      {
        what = "a context",
        make = function(ssl) return ssl.newcontext { mode = "client", protocol = "any" } end,
      },
    },
  },
  {
    name = "openssl.digest",
    package = "lua-luaossl",
    use = function(digest)
      local bytes = digest.new("sha256"):final "abc"
      return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end,
    objects = {
      {
        what = "a function",
        make = function(digest) return digest.new end,
        use = function(new) return #new("sha1"):final "abc" end,
      },
      { what = "a digest", make = function(digest) return digest.new "sha256" end },
    },
  },
  {
    name = "openssl.bignum",
    package = "lua-luaossl",
    use = function(bignum) return tostring(bignum.new "123456789012345678901234567890" * 2) end,
    objects = {
      { what = "a number", make = function(bignum) return bignum.new(7) end },
    },
  },
  {
    name = "openssl.pkey",
    package = "lua-luaossl",
    use = function(pkey)
      local key = pkey.new { type = "EC", curve = "prime256v1" }
      return key:toPEM "public":match "^%-+BEGIN PUBLIC KEY"
    end,
    objects = {
      {
        what = "a key",
        make = function(pkey) return pkey.new { type = "EC", curve = "prime256v1" } end,
      },
    },
  },
  {
    name = "cqueues",
    package = "lua-cqueues",
    use = function(cqueues)
      local loop, done = cqueues.new(), 0
      for i = 1, 3 do
        loop:wrap(function()
          cqueues.sleep(0.001 * i)
          done = done + i
        end)
      end
      assert(loop:loop())
      return done
    end,
    objects = {
      {
        what = "a function",
        make = function(cqueues) return cqueues.monotime end,
        use = function(monotime) return math.type(monotime()) end,
      },
      { what = "a loop", make = function(cqueues) return cqueues.new() end },
    },
  },
  {
    name = "cqueues.socket",
    package = "lua-cqueues",
    use = function(socket)
      local one, other = socket.pair()
      one:write "hello\n"
      one:flush()
      local line = other:read "*l"
      one:close()
      other:close()
      return line
    end,
    objects = {
      { what = "a socket", make = function(socket) return (socket.pair()) end },
    },
  },
  {
    name = "http.headers",
    package = "lua-http",
    use = function(headers)
      local made = headers.new()
      made:append("content-type", "text/plain")
      made:append(":status", "200")
      return made:get "content-type", made:has ":status"
    end,
    objects = {
      {
        what = "headers",
        make = function(headers)
          local made = headers.new()
          made:append("content-type", "text/plain")
          return made
        end,
        use = function(made)
          return made:get "content-type", getmetatable(made) == require "http.headers".mt
        end,
      },
    },
  },
  {
    name = "http.util",
    package = "lua-http",
    use = function(util) return util.encodeURIComponent "a b&c", util.decodeURI "a%20b" end,
    objects = {
      {
        what = "a function",
        make = function(util) return util.encodeURI end,
        use = function(encode) return encode "a b" end,
      },
    },
  },
  {
    name = "luv",
    package = "lua-luv",
    use = function(luv)
      local ticks = 0
      local timer = luv.new_timer()
      timer:start(1, 1, function()
        ticks = ticks + 1
        if ticks == 3 then timer:close() end
      end)
      luv.run()
      return ticks
    end,
    objects = {
      {
        what = "a function",
        make = function(luv) return luv.hrtime end,
        use = function(hrtime) return math.type(hrtime()) end,
      },
      { what = "a timer", make = function(luv) return luv.new_timer() end },
    },
  },
  {
    name = "copas",
    package = "lua-copas",
    use = function(copas)
      local socket = require "socket"
      local server = socket.bind("127.0.0.1", 0)
      local _, port = server:getsockname()
      local answer
      copas.addserver(server, function(accepted)
        copas.setErrorHandler(function() end)
        accepted = copas.wrap(accepted)
        accepted:send(accepted:receive "*l" .. ", too\n")
      end)
      copas.addthread(function()
        copas.setErrorHandler(function() end)
        local plain = socket.tcp()
        plain:settimeout(0)
        copas.connect(plain, "127.0.0.1", port)
        local client = copas.wrap(plain)
        client:send "hello\n"
        answer = client:receive "*l"
      end)
      repeat copas.step(1) until answer
      return answer
    end,
    objects = {
      {
        what = "a function",
        make = function(copas) return copas.addthread end,
        use = function(addthread) return type(addthread) end,
      },
    },
  },
  {
    name = "redis",
    package = "lua-redis",
    use = function(redis) return type(redis.commands.get), redis._VERSION end,
    objects = {
      {
        what = "a command",
        make = function(redis) return redis.command "PING" end,
        use = function(command) return type(command) end,
      },
    },
  },
}
