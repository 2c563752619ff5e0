rockspec_format = "3.0"
package = "lthread"
version = "scm-1"

source = {
   url = "git+https://github.com/lthread/lthread.git",
}

description = {
   summary = "OS threads for Lua 5.4, with the API of Python's _thread",
   detailed = [[
      Real OS threads for Lua: locks, exceptions, interrupts, queues and shared tables,
      under the names and with the meanings of Python's low-level threading module.
      Every thread runs a Lua state of its own, so threads run in true parallel.
   ]],
   homepage = "https://github.com/lthread/lthread",
   license = "MIT",
   labels = { "threading", "concurrency" },
}

dependencies = {
   "lua >= 5.4, < 5.5",
}

local function lthread(define, libraries, ...)
   return {
      modules = {
         lthread = {
            defines = { define },
            incdirs = { "." },
            libraries = libraries,
            sources = {
               "lthread.c",
               "src/allocator.c",
               "src/args.c",
               "src/biased.c",
               "src/chain.c",
               "src/closers.c",
               "src/code.c",
               "src/collect.c",
               "src/commands.c",
               "src/coroutines.c",
               "src/deadlock.c",
               "src/dump.c",
               "src/errortext.c",
               "src/excepthook.c",
               "src/exception.c",
               "src/fetch.c",
               "src/files.c",
               "src/fork.c",
               "src/heap.c",
               "src/insist.c",
               "src/interrupt.c",
               "src/item.c",
               "src/libraries.c",
               "src/loan.c",
               "src/lock.c",
               "src/memory.c",
               "src/module.c",
               "src/named.c",
               "src/names.c",
               "src/object.c",
               "src/pack.c",
               "src/pack_environment.c",
               "src/pack_function.c",
               "src/pack_refusal.c",
               "src/pack_value.c",
               "src/package.c",
               "src/packer.c",
               "src/park.c",
               "src/queue.c",
               "src/quiet.c",
               "src/runtime.c",
               "src/share.c",
               "src/shared.c",
               "src/shown.c",
               "src/shutdown.c",
               "src/spinner.c",
               "src/state.c",
               "src/stock.c",
               "src/stored.c",
               "src/table.c",
               "src/text.c",
               "src/thread.c",
               "src/traceback.c",
               "src/unpack.c",
               "src/value.c",
               "src/wait.c",
               "src/watch.c",
               "src/worker.c",
               "lib/atomiclib.c",
               "lib/classlib.c",
               "lib/guard.c",
               "lib/handlelib.c",
               "lib/interruptlib.c",
               "lib/locallib.c",
               "lib/locklib.c",
               "lib/queuelib.c",
               "lib/sharedlib.c",
               ...
            },
         },
      },
   }
end

build = {
   type = "builtin",
   modules = {
      _thread = "lua/_thread.lua",
   },
   platforms = {
      unix = lthread("LT_PLATFORM_POSIX", { "pthread" }, "platform/posix.c", "platform/signals.c", "platform/portable.c"),
      linux = lthread("LT_PLATFORM_LINUX", { "pthread", "dl" }, "platform/posix.c", "platform/signals.c", "platform/linux.c"),
   },
}
