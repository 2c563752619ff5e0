#include "src/thread/main_state.h"

#include <string.h>

#include "src/base/library_functions.h"
#include "src/base/protected_call.h"
#include "src/base/stack_room.h"
#include "src/object/exception.h"
#include "src/shared/shared_table.h"
#include "src/state/files.h"
#include "src/state/os_commands.h"
#include "src/state/state.h"
#include "src/thread/at_exit.h"
#include "src/thread/fork.h"
#include "src/thread/home.h"
#include "src/thread/interrupt.h"
#include "src/thread/observer.h"
#include "src/thread/runtime_threads.h"
#include "src/thread/section_list.h"
#include "src/thread/shutdown.h"
#include "src/thread/wait.h"
#include "src/thread/worker.h"
#include "src/transfer/c_rules.h"

static const char anchor; /* an address in this library */

static void end_runtime(lt_Thread *main) {
  lt_observer->runtime_closes(main->runtime);
  lt_home_leave(main);
  if (main->coroutines != NULL) {
    lt_coroutines_close(main->coroutines);
    lt_coroutines_leave_to_state(main->coroutines);
    main->coroutines = NULL;
  }
  lt_runtime_threads_leave(main->runtime, main, LT_DONE, NULL);
  lt_c_rules_forget(main->runtime);
  lt_workers_close(main->parker);
  lt_observer->thread_is_over(main);
  lt_object_release(&main->object);
}

/* The main state is being closed: its runtime ends with it. */
static int close_runtime(lua_State *L) {
  lt_Context *context = lua_touserdata(L, 1);
  lt_Thread *main = context->thread;
  if (main == NULL)
    return 0;
  lt_thread_come_home(main);
  lt_at_exit_run(L, main);
  lt_shutdown(L, main);
  lt_observer->threads_have_ended(main->runtime);
  lt_sections_end_all(main);
  context->thread = NULL;
  lt_context_end(L, &context->lender.base);
  lt_lender_close(&context->lender, main->parker);
  end_runtime(main);
  return 0;
}

static int adopt_main(lua_State *L) {
  lt_Thread *main = lua_touserdata(L, 1);
  int error = lt_fork_setup();
  if (error == 0)
    error = lt_interrupt_setup();
  if (error == 0 && !lt_home_enter(main))
    error = PLAT_NO_MEMORY;
  lt_wait_setup(main);
  if (error != 0) {
    char reason[128];
    plat_describe_error(error, reason, sizeof(reason));
    lt_raise(L, &lt_RuntimeError, "can't see to signals and forks: %s", reason);
  }
  lt_observer->runtime_opens(main->runtime);
  lt_interrupt_replace_sethook(L);
  lt_files_replace(L);
  lt_os_commands_replace_popen(L);
  lt_state_offer_c_functions(L);
  lt_thread_enter_state(main, lt_state_open_context(L, close_runtime));
  atomic_store(&main->status, LT_RUNNING);
  return 0;
}

/* False without memory. */
static bool enter_new_runtime(lt_Thread *main, const lt_RuntimeOptions *options) {
  lt_SharedTable *globals = lt_shared_table_new(true);
  lt_SharedTable *registry = lt_shared_table_new(false);
  lt_Runtime *runtime = globals == NULL || registry == NULL ? NULL : lt_runtime_new();
  if (runtime == NULL) {
    if (globals != NULL)
      lt_object_release(&globals->traced.object);
    if (registry != NULL)
      lt_object_release(&registry->traced.object);
    return false;
  }
  runtime->options = *options;
  atomic_store(&runtime->memory_left, options->total_memory);
  main->memory.most = options->memory; /* for the threads that it starts */
  main->memory.left = options->total_memory == 0 ? NULL : &runtime->memory_left;
  runtime->globals = &globals->traced.object;
  runtime->registry = &registry->traced.object;
  strcpy(main->name, "MainThread");
  main->is_main = true;
  lt_runtime_threads_enter(runtime, main);
  runtime->main_ident = atomic_load(&main->ident);
  return true;
}

void lt_main_state_open(lua_State *L, const lt_RuntimeOptions *options) {
  lt_check_stack(L, 4);
  lt_biased_lock_setup();
  lt_Thread *main = lt_thread_new();
  if (main == NULL)
    lt_raise_memory(L);
  if (!enter_new_runtime(main, options)) {
    lt_object_release(&main->object);
    lt_raise_memory(L);
  }
  lt_workers_open();
  plat_pin_library(&anchor);
  lt_library_functions_learn();
  if (lt_protected_call(L, adopt_main, main, 0, 0) != LUA_OK) {
    end_runtime(main);
    lt_throw(L);
  }
}
