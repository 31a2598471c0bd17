"""Documents: parsed, validated, and kept. Access decisions are never kept with them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from graphql import (
    ArgumentNode,
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    ValidationRule,
    ValuesOfCorrectTypeRule,
    VariableNode,
    VariablesInAllowedPositionRule,
    Visitor,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    visit,
)

from service.errors import ApiError, ApiErrorCode, bad_input
from service.operations.phases import Document, Operation, Prepared, Rejected
from service.operations.repetition import check_repetition
from service.operations.variables import LiteralsOfCorrectType, OneOfVariables
from service.turns import aside, pause

KEPT_DOCUMENTS = 512
KEPT_CHARACTERS = 196_608  # a document and its plan take up to 500 bytes of memory for each
LONGEST_KEPT = 16_384  # characters
LONGEST_TEXT = 100_000  # characters
MOST_LINES = 1_000
SHORT_TEXT = 256  # characters, which are parsed and validated within a turn of the event loop
MOST_VALIDATION_ERRORS = 20
STRICTER: dict[type[ASTValidationRule], type[ASTValidationRule]] = {
    ValuesOfCorrectTypeRule: LiteralsOfCorrectType,
    VariablesInAllowedPositionRule: OneOfVariables,
}
RULES = tuple(STRICTER.get(rule, rule) for rule in specified_rules)


class InvalidDocumentError(Exception):
    """The document cannot be parsed, or is not valid for the schema."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class NoIntrospection(ValidationRule):
    """Rejects introspection if the operator disabled it."""

    def enter_field(self, node: FieldNode, *_args: Any) -> None:
        """Report a field of the introspection system; `__typename` reveals nothing."""
        if node.name.value in {"__schema", "__type"}:
            self.report_error(ApiError(ApiErrorCode.FEATURE_DISABLED, "Introspection is disabled."))


class _Variables(Visitor):
    """Finds the variables of @skip and @include, and those that are the size of a page or a list of ids."""

    def __init__(self) -> None:
        super().__init__()
        self.flags: set[str] = set()
        self.sizes: set[str] = set()

    def enter_argument(self, node: ArgumentNode, *_args: Any) -> None:
        """Note the variable of an argument."""
        if isinstance(node.value, VariableNode) and node.name.value in {"first", "ids", "if", "last"}:
            (self.flags if node.name.value == "if" else self.sizes).add(node.value.name.value)


def _unlink(document: DocumentNode) -> None:
    """Take the tokens of a document from each other, so that those that no node needs, and later all, are freed."""
    token = document.loc.start_token if document.loc else None
    while token is not None:
        following, token.prev, token.next = token.next, None, None
        token = following


class Documents:
    """The documents of one schema."""

    def __init__(self, schema: GraphQLSchema, *, token_limit: int, introspection: bool) -> None:
        self._schema = schema
        self._token_limit = token_limit
        self._rules = RULES if introspection else (*RULES, NoIntrospection)
        # SECURITY: suggestions would reveal the schema name by name (OWASP GraphQL cheat sheet)
        self.hide_suggestions = not introspection
        self._kept: OrderedDict[str, Document] = OrderedDict()  # the most recently used is the last
        self._characters = 0  # of the texts that are kept

    async def prepare(self, operation: Operation) -> Prepared | Rejected:
        """Return the operation ready to run, or why it cannot run."""
        try:
            document = self._kept.get(operation.text)
            if document is None:
                document = await self._new(operation.text)
            else:
                self._kept.move_to_end(operation.text)
            definition = self._definition(document.node, operation.name)
        except InvalidDocumentError as error:
            return Rejected(error.errors)
        except ApiError as error:
            return Rejected([error])
        return Prepared(document, definition, operation.variables)

    async def _new(self, text: str) -> Document:
        # SECURITY: spaces, comments, and long strings are few tokens, but take the lexer time
        if len(text) > LONGEST_TEXT:
            message = f"A document must have at most {LONGEST_TEXT} characters. Use variables for long values."
            raise ApiError(ApiErrorCode.QUERY_TOO_COMPLEX, message, limit=LONGEST_TEXT)
        # SECURITY: for the line of each error, graphql-core counts the line breaks before it
        if sum(map(text.count, "\n\r")) > MOST_LINES:
            message = f"A document must have at most {MOST_LINES} lines."
            raise ApiError(ApiErrorCode.QUERY_TOO_COMPLEX, message, limit=MOST_LINES)
        if len(text) > SHORT_TEXT:
            document = await aside(self._parse, text)
        else:
            await pause()  # a batch may have many
            document = self._parse(text)
        # SECURITY: a text may be as long as a body; those kept must not fill the memory
        if len(text) <= LONGEST_KEPT and text not in self._kept:
            self._kept[text] = document
            self._characters += document.characters
            self._forget()
        return document

    def has_grown(self, document: Document) -> None:
        """Count a further plan of a document, for other values of the variables in @skip and @include."""
        if document.text in self._kept:
            document.characters += len(document.text)
            self._characters += len(document.text)
            self._forget()

    def _forget(self) -> None:
        while len(self._kept) > KEPT_DOCUMENTS or self._characters > KEPT_CHARACTERS:
            _, oldest = self._kept.popitem(last=False)
            self._characters -= oldest.characters

    def _parse(self, text: str) -> Document:
        try:
            document = parse(text, max_tokens=self._token_limit)
        except GraphQLSyntaxError as error:
            raise InvalidDocumentError(self._too_complex(error) or error) from error
        _unlink(document)
        check_repetition(document)
        errors = validate(
            self._schema, document, self._rules, MOST_VALIDATION_ERRORS, hide_suggestions=self.hide_suggestions
        )
        if errors:
            raise InvalidDocumentError(*(self._too_complex(error) or error for error in errors))
        fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
        found = _Variables()
        visit(document, found)
        flags, sizes = tuple(sorted(found.flags)), tuple(sorted(found.sizes))
        return Document(document, fragments, flags, sizes, len(text) > SHORT_TEXT, text, len(text))

    def _too_complex(self, error: GraphQLError) -> ApiError | None:
        """Return the error of a document that graphql-core aborted, which only the message tells."""
        if error.message.startswith("Syntax Error: Document contains more than"):
            limit = self._token_limit
            message = f"A document must have at most {limit} tokens."
            return ApiError(ApiErrorCode.QUERY_TOO_COMPLEX, message, limit=limit)
        if error.message in {"Syntax Error: Document is nested too deeply. Parsing aborted.", "Validation aborted."}:
            return ApiError(ApiErrorCode.QUERY_TOO_COMPLEX, "The document is nested too deeply or repeats too much.")
        return None

    @staticmethod
    def _definition(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
        definition = get_operation_ast(document, name)
        if definition is None:
            raise bad_input("Name one of the document's operations in operationName.")
        if definition.operation is OperationType.SUBSCRIPTION:
            raise bad_input("Subscriptions are not supported.")
        return definition
