-- Patterns, texts, the command line, logging.
return {
  {
    name = "lpeg",
    package = "lua-lpeg",
    use = function(lpeg)
      local number = lpeg.R "09" ^ 1 / tonumber
      local list = lpeg.Ct(number * ("," * number) ^ 0)
      local values = list:match "1,22,333"
      return #values, values[3], lpeg.type(number)
    end,
    objects = {
      { what = "a pattern", make = function(lpeg) return lpeg.P "a" end },
    },
  },
  {
    name = "re",
    package = "lua-lpeg",
    use = function(re) return re.match("hello world", "{ [a-z]+ } ' ' { [a-z]+ }") end,
    objects = {
      {
        what = "a function",
        make = function(re) return re.find end,
        use = function(find) return find("hello", "'l'+") end,
      },
    },
  },
  {
    name = "lpeg_patterns.IPv4",
    package = "lua-lpeg-patterns",
    use = function(ipv4)
      local address = ipv4.IPv4address:match "127.0.0.1"
      return tostring(address)
    end,
    objects = {
      {
        what = "an address",
        make = function(ipv4) return ipv4.IPv4address:match "127.0.0.1" end,
        use = function(address) return tostring(address), address:unpack() end,
      },
    },
  },
  {
    name = "lpeg_patterns.uri",
    package = "lua-lpeg-patterns",
    use = function(uri)
      local parts = uri.uri:match "http://example.com:80/path?query"
      return parts.host, parts.port, parts.path
    end,
    objects = {
      { what = "a pattern", make = function(uri) return { uri.uri } end,
        use = function(list) return list[1]:match "http://example.com/path".path end },
    },
  },
  {
    name = "rex_pcre2",
    package = "lua-rex-pcre2",
    use = function(rex)
      return rex.match("hello world", [[(\w+) (\w+)]]), (rex.gsub("aaa", "a", "b"))
    end,
    objects = {
      { what = "an expression", make = function(rex) return rex.new "a+" end },
    },
  },
  {
    name = "rex_posix",
    package = "lua-rex-posix",
    use = function(rex) return rex.match("hello world", "([a-z]+) ([a-z]+)") end,
    objects = {
      { what = "an expression", make = function(rex) return rex.new "a+" end },
    },
  },
  {
    name = "say",
    package = "lua-say",
    use = function(say)
      say:set_namespace "en"
      say:set("greeting", "hello %s")
      return say("greeting", { "world" })
    end,
    objects = {
      {
        what = "what was set in main",
        make = function(say)
          say:set_namespace "en"
          say:set("farewell", "bye %s")
          return say
        end,
        use = function(say) return say("farewell", { "world" }) end,
      },
    },
  },
  {
    name = "argparse",
    package = "lua-argparse",
    use = function(argparse)
      local parser = argparse("program", "does something")
      parser:argument "input"
      parser:option("-o --output", "where to", "a.out")
      local parsed = parser:parse { "file", "-o", "out" }
      return parsed.input, parsed.output
    end,
    objects = {
      {
        what = "a parser",
        make = function(argparse)
          local parser = argparse "program"
          parser:option "--level"
          return parser
        end,
        use = function(parser) return parser:parse { "--level", "3" }.level end,
      },
    },
  },
  {
    name = "cliargs",
    package = "lua-cliargs",
    use = function(cliargs)
      local cli = cliargs:set_name "program"
      return type(cli), type(cli.parse)
    end,
    objects = {
      {
        what = "a function",
        make = function(cliargs) return cliargs.set_name end,
        use = function(set_name) return type(set_name) end,
      },
    },
  },
  {
    name = "logging",
    package = "lua-logging",
    use = function(logging)
      local lines = {}
      local logger = logging.new(function(_, level, message)
        lines[#lines + 1] = level .. " " .. message
        return true
      end)
      logger:setLevel(logging.WARN)
      logger:info "not this"
      logger:warn "this"
      return table.concat(lines, "\n")
    end,
    objects = {
      {
        what = "a logger",
        make = function(logging)
          return logging.new(function(self, level, message)
            self.last = level .. " " .. message
            return true
          end)
        end,
        use = function(logger)
          logger:error "something"
          return logger.last
        end,
      },
    },
  },
  {
    name = "inifile",
    package = "lua-inifile",
    use = function(inifile)
      local parsed = inifile.parse("[section]\nkey=value\n", "memory")
      return parsed.section.key
    end,
    objects = {
      {
        what = "what was parsed",
        make = function(inifile) return inifile.parse("[section]\nkey=value\n", "memory") end,
        use = function(parsed) return parsed.section.key end,
      },
    },
  },
  {
    name = "term",
    package = "lua-term",
    use = function(term)
      return term.isatty(io.tmpfile()), tostring(term.colors.red) .. "x" .. term.colors.reset
    end,
    objects = {
      {
        what = "a colour",
        make = function(term) return term.colors.red end,
        use = function(red) return tostring(red), red "x" end,
      },
    },
  },
}
