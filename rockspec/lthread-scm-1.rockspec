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
               "lib/atomiclib.c",
               "lib/calllib.c",
               "lib/classlib.c",
               "lib/globals_option.c",
               "lib/guard.c",
               "lib/handlelib.c",
               "lib/interruptlib.c",
               "lib/locallib.c",
               "lib/locklib.c",
               "lib/queue_methods.c",
               "lib/queuelib.c",
               "lib/queueputlib.c",
               "lib/shared_fields.c",
               "lib/shared_object.c",
               "lib/sharedlib.c",
               "lib/socket_class.c",
               "lib/socketlib.c",
               "lib/threadlib.c",
               "lib/transferlib.c",
               "lthread.c",
               "src/base/growing_array.c",
               "src/base/library_functions.c",
               "src/base/shared_memory.c",
               "src/base/stack_room.c",
               "src/base/string_buffer.c",
               "src/diagnose/deadlock.c",
               "src/diagnose/diagnosis.c",
               "src/diagnose/dump.c",
               "src/diagnose/dump_triggers.c",
               "src/object/arguments.c",
               "src/object/cycles.c",
               "src/object/error_text.c",
               "src/object/exception.c",
               "src/object/object.c",
               "src/object/printable.c",
               "src/object/traceback.c",
               "src/shared/from_shared.c",
               "src/shared/heap.c",
               "src/shared/queue.c",
               "src/shared/queue_batch.c",
               "src/shared/queue_tracing.c",
               "src/shared/segments.c",
               "src/shared/shared_metatable.c",
               "src/shared/shared_table.c",
               "src/shared/shared_value.c",
               "src/shared/stored_value.c",
               "src/shared/to_shared.c",
               "src/shared/value_table.c",
               "src/state/coroutines.c",
               "src/state/error_output.c",
               "src/state/files.c",
               "src/state/lent_string.c",
               "src/state/libraries.c",
               "src/state/os_commands.c",
               "src/state/pool.c",
               "src/state/quiet_call.c",
               "src/state/replacement.c",
               "src/state/running_handlers.c",
               "src/state/state.c",
               "src/sync/biased_lock.c",
               "src/sync/lock.c",
               "src/sync/park.c",
               "src/thread/excepthook.c",
               "src/thread/fork.c",
               "src/thread/inherited_package.c",
               "src/thread/interrupt.c",
               "src/thread/main_state.c",
               "src/thread/observer.c",
               "src/thread/repeated_poke.c",
               "src/thread/runtime.c",
               "src/thread/runtime_threads.c",
               "src/thread/shutdown.c",
               "src/thread/thread.c",
               "src/thread/thread_life.c",
               "src/thread/wait.c",
               "src/thread/worker.c",
               "src/transfer/bytecode.c",
               "src/transfer/class_definition.c",
               "src/transfer/class_record.c",
               "src/transfer/class_trace.c",
               "src/transfer/message_item.c",
               "src/transfer/module_contents.c",
               "src/transfer/module_index.c",
               "src/transfer/module_names.c",
               "src/transfer/pack.c",
               "src/transfer/pack_class.c",
               "src/transfer/pack_environment.c",
               "src/transfer/pack_function.c",
               "src/transfer/pack_refusal.c",
               "src/transfer/pack_rule.c",
               "src/transfer/pack_value.c",
               "src/transfer/packer.c",
               "src/transfer/received_classes.c",
               "src/transfer/received_globals.c",
               "src/transfer/transfer_rules.c",
               "src/transfer/unpack.c",
               "src/transfer/unpack_end.c",
               "src/transfer/unpack_ruled.c",
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
